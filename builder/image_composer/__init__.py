"""Image Composer: bootable operating system images from pre-built packages.

The composer is independent of any distribution and of Kubernetes; see docs/architecture.md.
"""

__version__ = "0.1.0"
