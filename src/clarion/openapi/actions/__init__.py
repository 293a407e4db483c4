"""The actions by family: what each takes, and the capability that serves it."""
