"""Azure Linux: all that there is to know of it stands in manifest-3.0.yaml."""

from __future__ import annotations

from image_composer.provider import Provider
from image_composer_providers.files import FilesProvider

PROVIDER: Provider = FilesProvider("azurelinux", __package__)
