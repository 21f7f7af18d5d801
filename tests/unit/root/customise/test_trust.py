"""Certificates, by each family's own way."""

from __future__ import annotations

import pytest

from image_composer.errors import AssemblyError
from image_composer.root.customise.trust import trust_changes
from image_composer.spec.system import Trust
from support.customised import root, written

WANTED = Trust(certificates={"corp": "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----"})


@pytest.mark.parametrize(
    ("program", "path", "arguments"),
    [
        ("/usr/sbin/update-ca-certificates", "/usr/local/share/ca-certificates/corp.crt", ()),
        ("/usr/bin/update-ca-trust", "/etc/pki/ca-trust/source/anchors/corp.pem", ("extract",)),
    ],
)
def test_they_are_put_where_the_image_gathers_them(program: str, path: str, arguments: tuple[str, ...]) -> None:
    changes = trust_changes(WANTED, root(program))
    assert written(changes) == {path: WANTED.certificates["corp"] + "\n"}
    assert changes.commands == ((program, *arguments),)


def test_where_nothing_gathers_them_they_are_refused() -> None:
    with pytest.raises(AssemblyError, match="nothing that gathers the certificates"):
        trust_changes(WANTED, root())
    assert trust_changes(Trust(), root()).operations == ()
