"""What is asked of a finished image before it is published. Nothing here changes a byte of the image."""

from __future__ import annotations

from image_composer.spec.base import ByteSize, Duration, Flag, SpecModel


class VerificationRequest(SpecModel):
    """What is checked of the finished image beyond what is always checked; docs/verification.md lists that."""

    boot: Flag = False
    """Whether the image is started on a virtual machine before it is published; the build fails when it does not come
    up, or a unit of it fails. Takes one to three minutes where the builder has no KVM."""

    boot_timeout: Duration = "10m"
    """How long starting may take."""

    max_disk_size: ByteSize | None = None
    """The build fails when the disk is larger."""

    max_file_size: ByteSize | None = None
    """The build fails when a file that it delivers is larger."""
