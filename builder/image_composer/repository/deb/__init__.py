"""Deb repositories: a signed Release, its indexes, and apt's way of choosing."""
