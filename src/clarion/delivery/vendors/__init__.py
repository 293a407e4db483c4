"""Deliveries through vendors: a line for each (app, channel), so that one sick vendor slows nobody else."""
