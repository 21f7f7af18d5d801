"""Container images of builder and operator, made by the composer itself: no registry, no daemon, no base image.

A layer is a folder turned into a tar that is the same wherever and whenever it is made, kept under the digest of all
that went into it; an image is a few layers and a configuration; an archive is the file that containerd, Docker and
kind import.
"""
