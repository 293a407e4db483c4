"""An HTTP/2 client made for sending: many small requests over few connections (RFC 9113, RFC 7541)."""
