"""All concerns of a document together, in the order in which their changes are made."""

from __future__ import annotations

from collections.abc import Mapping

from image_composer.root.customise.changes import Changes, Root, together
from image_composer.root.customise.cloud_init import cloud_init_changes
from image_composer.root.customise.files import file_changes, folder_changes
from image_composer.root.customise.kernel import module_changes, sysctl_changes, tmpfiles_changes, udev_changes
from image_composer.root.customise.locale import (
    KEYBOARDS,
    LOCALE_GEN,
    SETUPCON,
    VCONSOLE,
    language_files,
    locale_changes,
    message_changes,
    zone_file,
)
from image_composer.root.customise.network import CHRONY, NFTABLES, SERVICES, TIMESYNCD, network_changes
from image_composer.root.customise.software import manager_changes, minimize_changes
from image_composer.root.customise.ssh import SERVER as SSH_SERVER
from image_composer.root.customise.ssh import ssh_changes
from image_composer.root.customise.systemd import PACKAGED_UNITS, systemd_changes
from image_composer.root.customise.trust import STORES, trust_changes
from image_composer.spec.image import ImageSpec


def looked_for(spec: ImageSpec) -> list[str]:
    """Give the paths of the root whose presence decides something."""
    target, language = spec.systemd.default_target, spec.locale.language
    targets = [f"{PACKAGED_UNITS}/{target}"] if target is not None else []
    languages = language_files(language) if language is not None else ()
    return [LOCALE_GEN, SETUPCON, VCONSOLE, *STORES, *CHRONY, *NFTABLES, TIMESYNCD, *SERVICES, *targets, *languages]


def read(spec: ImageSpec) -> list[str]:
    """Give the files of the root whose content decides something."""
    zone = [zone_file(spec.locale.time_zone)] if spec.locale.time_zone is not None else []
    return [SSH_SERVER, KEYBOARDS, *zone]


def document_changes(spec: ImageSpec, given: Mapping[int, bytes], root: Root) -> Changes:
    """Say all that a document wants changed. Files come last: they have the last word.

    Args:
        spec: the document.
        given: content of its files that comes from elsewhere, by their place.
        root: what is there.

    Raises:
        AssemblyError: the root lacks what the document takes for granted.
    """
    return together(
        [
            manager_changes(spec.package_manager, spec.repositories, root.family),
            minimize_changes(spec.minimize, root.family),
            cloud_init_changes(spec.cloud_init, spec.name, spec.version),
            module_changes(spec.kernel.modules),
            sysctl_changes(spec.sysctl),
            tmpfiles_changes(spec.tmpfiles),
            udev_changes(spec.udev_rules),
            network_changes(spec.network, root),
            locale_changes(spec.locale, root),
            message_changes(spec.messages),
            ssh_changes(spec.ssh, root),
            trust_changes(spec.trust, root),
            systemd_changes(spec.systemd, root),
            folder_changes(spec.folders, root),
            file_changes(spec.files, given, root),
        ]
    )
