"""Debian 12 and 13: facts are in manifest-<release>.yaml."""

from __future__ import annotations

from image_composer.provider import Provider
from image_composer_providers.apt_sources import AptProvider

# Names that hosts use for whatever release is the newest; the archives are the same.
PROVIDER: Provider = AptProvider(
    "debian", __package__, suites={"stable": "debian", "stable-security": "debian-security"}
)
