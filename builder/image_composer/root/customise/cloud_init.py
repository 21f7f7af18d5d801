"""Data for cloud-init in the image itself: its NoCloud source.

Format: https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html
"""

from __future__ import annotations

from image_composer.root import operations
from image_composer.root.customise.changes import OWN_NAME, Changes
from image_composer.spec.software import CloudInit

SEED = "/var/lib/cloud/seed/nocloud"
SOURCES = "datasource_list: [NoCloud, None]\n"
"""So that it looks nowhere else: not for a cloud's address, which takes minutes where there is none."""


def cloud_init_changes(wanted: CloudInit | None, name: str, version: str) -> Changes:
    """Say what to write for cloud-init; users' data can hold secrets, so only root reads it.

    Args:
        wanted: of the document.
        name: of the image.
        version: of the image.
    """
    if wanted is None:
        return Changes()
    instance = f"instance-id: {name}-{version}\n"
    files = {
        "user-data": wanted.user_data or "",
        "meta-data": wanted.meta_data or instance,
        "network-config": wanted.network_config,
        "vendor-data": wanted.vendor_data,
    }
    written = [operations.write(f"{SEED}/{file}", text, mode=0o600) for file, text in files.items() if text is not None]
    return Changes((operations.write(f"/etc/cloud/cloud.cfg.d/{OWN_NAME}.cfg", SOURCES), *written))
