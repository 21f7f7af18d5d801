"""The JSON spec: what an image shall be, as the user writes it."""
