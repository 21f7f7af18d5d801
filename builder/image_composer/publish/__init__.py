"""Handing over what was built: all of it or nothing."""
