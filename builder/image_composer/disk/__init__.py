"""Disk images from files: layout, file systems, boot images and the partition table, without mounting anything."""
