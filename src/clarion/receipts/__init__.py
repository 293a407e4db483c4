"""The callbacks of vendors, which tell what became of messages that they took."""
