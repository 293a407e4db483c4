"""The API port: an HTTP server that slow or hostile clients cannot hold, and what answers on which path."""
