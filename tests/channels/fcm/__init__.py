"""The channel for FCM."""
