"""Package files: what they say of themselves, and who vouches for it."""
