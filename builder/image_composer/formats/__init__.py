"""The forms in which an image is delivered: one module a format, each a function from the raw disk to a file."""
