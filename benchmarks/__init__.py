"""Measurements: one script a figure (`python -m benchmarks.run`)."""
