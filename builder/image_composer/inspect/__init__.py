"""What an image is and holds, read from the file itself: nothing is mounted, nothing is written."""
