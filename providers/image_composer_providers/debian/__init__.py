"""Debian 12 and 13."""
