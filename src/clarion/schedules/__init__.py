"""Pushes that are carried out later, once or again and again."""
