"""Taking pushes back."""
