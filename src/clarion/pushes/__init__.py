"""Pushes: the rules that a request must keep, and accepting what keeps them."""
