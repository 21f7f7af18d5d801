"""The root: installing packages and settings into it, inside a sandbox that gives them nothing of the host."""
