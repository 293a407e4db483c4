"""Templates: texts with placeholders, kept by name."""
