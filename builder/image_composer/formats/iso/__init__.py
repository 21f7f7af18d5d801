"""The installer ISO: a medium for CD drives and USB sticks, for UEFI and BIOS, that writes the raw disk to a disk.

`arguments` says what the installer is told, `efi` and `grub` make what starts it, `medium` puts all together. What the
installer does is `root/installer`, which is made with the root.
"""
