"""Wind River eLxr 12 and 13: facts are in manifest-<release>.yaml.

The archive's public key was not to be had where this was written, and a key whose owner nobody has checked is worse
than none. So there is no folder `keys`: IMAGE_COMPOSER_KEYS_ELXR names the file, see docs/mirrors.md.
"""

from __future__ import annotations

from image_composer.provider import Provider
from image_composer_providers.apt_sources import AptProvider

PROVIDER: Provider = AptProvider("elxr", __package__)
