"""The SMS supplement: a short message beside a push, or in place of one that reaches nobody."""
