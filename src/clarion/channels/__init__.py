"""Ways to a device: one folder a vendor, and the own link."""
