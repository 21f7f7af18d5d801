"""What an image is made of and what it hashes to, written down for people and machines that were not there."""
