"""The command line: `image-composer`."""
