"""One message to every device of a platform: pages of an audience, an open log for those that come later."""
