"""Azure Linux 3.0."""
