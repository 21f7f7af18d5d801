"""The distributions that Image Composer brings: a manifest of facts for each release, and little code."""
