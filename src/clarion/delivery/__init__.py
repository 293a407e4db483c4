"""From an accepted push to its end: plan, send, record; expiry, recovery and the trace."""
