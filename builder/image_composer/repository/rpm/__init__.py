"""Rpm repositories: repomd.xml, what it vouches for, and packages as rpm relates them."""
