"""A document full of what shells and formats have a meaning for: it is in the root as it stands, and runs nothing."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from image_composer.root.scripts import PLACE
from support.composer import Composer, Outcome, write_document
from support.distribution import document
from support.specs import ED25519_KEY

pytestmark = [pytest.mark.network, pytest.mark.build]

HOSTILE = "$(touch /pwned) `touch /pwned` ; touch /pwned | 'x' \"y\" %h \\t \u00e9\u2028 *"
"""One line."""

LINES = f"{HOSTILE}\r\n#!/bin/sh\ntouch /pwned\n"

HOOKS = [
    {
        "name": "one",
        "when": "after-packages",
        "content": "test ! -e /etc/gate.conf && test -e /etc/passwd\necho 1 >/order",
    },
    {"name": "three", "when": "final", "content": "test -e /boot/vmlinuz-* && echo 3 >>/order"},
    {
        "name": "two",
        "content": 'test -e /etc/gate.conf && id gate && printf "2 %s\\n" "$SAID" >>/order',
        "environment": {"SAID": HOSTILE},
    },
    {"name": "two-more", "content": "print qq(a\\n)", "interpreter": "/usr/bin/perl"},
]

DOCUMENT: dict[str, Any] = {
    "users": [
        {"name": "gate", "fullName": "$(touch /pwned) `id` 'x' \"y\"", "sshAuthorizedKeys": [f"{ED25519_KEY} $(id)"]}
    ],
    "groups": [{"name": "operators", "gid": 900}],
    "folders": [{"path": "/srv/gate", "mode": "1770", "owner": "gate", "group": "operators"}],
    "files": [
        {"path": "/etc/gate.conf", "content": LINES, "mode": "0640", "owner": "gate", "group": "operators"},
        {"path": "/etc/gate.bin", "contentBase64": "AAr/"},
        {"path": "/etc/cron.d/-rf", "content": ""},
        {"path": "/etc/gate.link", "link": "/dev/sda"},
        {"path": "/bin/gate", "content": "x", "mode": "0755"},
    ],
    "trees": [
        {"name": "site", "path": "/", "folder": "site"},
        {"name": "pages", "path": "/srv/gate", "folder": "site/lib", "owner": "gate", "group": "operators"},
    ],
    "systemd": {
        "units": [{"name": r"gate@a\x2db.service", "content": LINES}],
        "dropIns": [{"unit": "gate.service", "name": "x", "content": LINES}],
        "presets": [HOSTILE],
    },
    "kernel": {
        "modules": {"load": ["dummy"], "options": {"dummy": HOSTILE.replace("\\", "")}, "blacklist": ["pcspkr"]}
    },
    "sysctl": {"kernel.domainname": HOSTILE},
    "tmpfiles": [HOSTILE],
    "udevRules": [{"name": "70-gate", "content": LINES}],
    "messages": {"motd": LINES, "issue": LINES},
    "scripts": HOOKS,
}

EXPECTED = {
    "etc/gate.conf": LINES,
    "etc/gate.bin": "\0\n\xff",
    "etc/cron.d/-rf": "",
    "usr/bin/gate": "x",
    r"etc/systemd/system/gate@a\x2db.service": LINES,
    "etc/systemd/system/gate.service.d/x.conf": LINES,
    "etc/systemd/system-preset/10-image.preset": f"{HOSTILE}\n",
    "etc/modules-load.d/90-image.conf": "dummy\n",
    "etc/modprobe.d/zz-image.conf": f"options dummy {HOSTILE}\nblacklist pcspkr\n".replace("\\", ""),
    "etc/sysctl.d/99-zz-image.conf": f"kernel.domainname = {HOSTILE}\n",
    "etc/tmpfiles.d/90-image.conf": f"{HOSTILE}\n",
    "etc/udev/rules.d/70-gate.rules": LINES,
    "etc/motd": LINES,
    "etc/issue": LINES,
    "home/gate/.ssh/authorized_keys": f"{ED25519_KEY} $(id)\n",
    "usr/lib/tree/$(touch x) %h": HOSTILE,
    "srv/gate/tree/link": HOSTILE,
    "order": f"1\n2 {HOSTILE}\n3\n",
}


def assembled(composer: Composer, folder: Path, **fields: Any) -> Outcome:
    """Bring a document as far as its root."""
    file = write_document(folder, document(**fields))
    for stage in ("validate", "resolve", "fetch", "assemble"):
        words = ["--file", str(file)] if stage == "validate" else []
        outcome = composer.run("stage", stage, "--workspace", folder / "workspace", *words)
        if outcome.status != 0:
            break
    return outcome


@pytest.fixture(scope="module")
def outcome(bootable: Composer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    folder = tmp_path_factory.mktemp("customised")
    tree = folder / "site/lib/tree"
    tree.mkdir(parents=True)
    (tree / "$(touch x) %h").write_text(HOSTILE)
    (tree / "link").symlink_to("$(touch x) %h")
    (folder / "site/etc").mkdir(mode=0o700)
    (folder / "site/etc/gate.conf").write_text("files have the last word")
    return assembled(bootable, folder, **DOCUMENT), folder / "workspace/root"


@pytest.fixture(scope="module")
def root(outcome: tuple[Outcome, Path]) -> Path:
    assert outcome[0].status == 0, outcome[0].said
    return outcome[1]


@pytest.mark.parametrize("path", EXPECTED)
def test_each_text_is_there_as_it_stands(root: Path, path: str) -> None:
    content = (root / path).read_bytes()
    assert content == EXPECTED[path].encode("latin-1" if path.endswith(".bin") else "utf-8")


def test_nothing_of_it_was_run_but_the_scripts(root: Path) -> None:
    assert not (root / "pwned").exists()
    assert not Path("/pwned").exists()


def test_owners_modes_and_links_are_as_asked_for(root: Path) -> None:
    base = root.stat().st_uid
    found = {}
    for path in ("etc/gate.conf", "srv/gate", "etc/gate.bin", "usr/bin/gate", "etc", "srv/gate/tree"):
        status = (root / path).stat()
        found[path] = (stat.S_IMODE(status.st_mode), status.st_uid - base, status.st_gid - root.stat().st_gid)
    assert found == {
        "etc/gate.conf": (0o640, 1000, 900),
        "srv/gate": (0o1770, 1000, 900),
        "etc/gate.bin": (0o644, 0, 0),
        "usr/bin/gate": (0o755, 0, 0),
        "etc": (0o755, 0, 0),
        "srv/gate/tree": (0o755, 1000, 900),
    }
    assert str((root / "etc/gate.link").readlink()) == "/dev/sda"


def test_scripts_are_heard_in_order_and_leave_nothing_of_themselves(outcome: tuple[Outcome, Path]) -> None:
    said, root = outcome
    names = [line.rsplit(" ", 1)[1] for line in said.said.splitlines() if "running the script" in line]
    assert names == ["one", "two", "two-more", "three"]
    assert "two-more: a" in said.said
    assert not (root / PLACE.lstrip("/")).exists()


def test_a_file_below_a_link_is_refused_with_the_place_it_would_come_to(bootable: Composer, tmp_path: Path) -> None:
    """Debian's /var/lock is such a link; here a script makes one, out of the root as it seems."""
    link = {
        "name": "link",
        "when": "after-packages",
        "content": f"mkdir /srv/a; ln -s ../../../../../{tmp_path} /srv/a/b",
    }
    outcome = assembled(bootable, tmp_path, scripts=[link], files=[{"path": "/srv/a/b/planted", "content": "x"}])
    assert (outcome.status, outcome.code) == (1, "ASSEMBLE_ACTION_FAILED")
    assert f"/srv/a/b/planted would come to lie in {tmp_path}, since a link leads there" in outcome.error
    assert not (tmp_path / "planted").exists()
