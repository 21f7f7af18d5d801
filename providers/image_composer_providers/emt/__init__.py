"""Edge Microvisor Toolkit 3.0."""
