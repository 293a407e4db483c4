"""Apps and access keys: who may call, and on whose behalf."""
