"""Certificates of authorities that the running system trusts, by each family's own way."""

from __future__ import annotations

from image_composer.errors import AssemblyError
from image_composer.root import operations
from image_composer.root.customise.changes import Changes, Root
from image_composer.spec.system import Trust

STORES = {
    "/usr/sbin/update-ca-certificates": ("/usr/local/share/ca-certificates", ".crt", ()),  # Debian
    "/usr/bin/update-ca-trust": ("/etc/pki/ca-trust/source/anchors", ".pem", ("extract",)),  # Fedora, Azure Linux
}
"""Program that gathers certificates: the folder it looks into, the ending that it wants, its arguments."""


def trust_changes(wanted: Trust, root: Root) -> Changes:
    """Say what to write and to run for certificates.

    Raises:
        AssemblyError: ASSEMBLE_NO_CERTIFICATE_STORE.
    """
    if not wanted.certificates:
        return Changes()
    for program, (folder, ending, arguments) in STORES.items():
        if program in root.present:
            written = tuple(
                operations.write(f"{folder}/{name}{ending}", text.strip() + "\n")
                for name, text in wanted.certificates.items()
            )
            return Changes(written, commands=((program, *arguments),))
    raise AssemblyError(
        "ASSEMBLE_NO_CERTIFICATE_STORE",
        "the image has nothing that gathers the certificates it trusts",
        hint="add the package ca-certificates",
    )
