"""Vendors' gateways as strict servers of one's own: they check what the real ones check, and keep a journal."""
