"""The architecture that this machine doesn't have, and whether tests can have its programs run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from image_composer.root.foreign import OWN_HANDLERS_SINCE, emulator_name, find_emulator, kernel_version
from image_composer.spec.image import Architecture

FOREIGN = Architecture.X86_64 if os.uname().machine == "aarch64" else Architecture.AARCH64


def foreign_emulator() -> Path:
    """Give the emulator; skips the test where there is none, or the kernel can't let a sandbox alone use it."""
    emulator = find_emulator(FOREIGN)
    if emulator is None:
        pytest.skip(f"there is no {emulator_name(FOREIGN)} here: package qemu-user-static")
    if kernel_version(os.uname().release) < OWN_HANDLERS_SINCE:
        pytest.skip(f"Linux {os.uname().release} knows no handlers of a namespace's own; 6.7 does")
    return emulator
