from __future__ import annotations

import os
import stat
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from containers.layer import Layer, write_layer
from image_composer.digest import file_sha256
from image_composer.run import Runner
from support.sandboxes import sandbox

EPOCH = 1_600_000_000
HARD = "usr/bin/program"
CAPABILITY = "security.capability"


def ordinary(folder: Path) -> None:
    """Fill a folder with one of each kind that layers know."""
    (folder / "etc").mkdir(mode=0o750)
    (folder / "etc/secret").write_text("x")
    (folder / "etc/secret").chmod(0o600)
    (folder / "usr/bin").mkdir(parents=True)
    (folder / "usr/bin/program").write_text("#!/bin/sh\n")
    (folder / "usr/bin/program").chmod(0o700)
    (folder / "usr/bin/same").hardlink_to(folder / "usr/bin/program")
    (folder / "bin").symlink_to("usr/bin")
    (folder / "nowhere").symlink_to("/does/not/exist")
    os.mkfifo(folder / "pipe")
    old = folder / "old"
    old.write_text("old")
    os.utime(old, (1_000_000_000.5, 1_000_000_000.5))
    (folder / ("long-" + "n" * 120)).write_text("")
    (folder / "größe").write_text("")


def written(folder: Path, target: Path, name: str = "layer.tar") -> Layer:
    return write_layer(folder, target / name, epoch=EPOCH, comment="", tools=Runner())


def entries(layer: Layer) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(layer.path) as archive:
        return {entry.name: entry for entry in archive}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    made.mkdir()
    ordinary(made)
    return made


RULES: dict[str, tuple[str, Callable[[tarfile.TarInfo], bool]]] = {
    "a folder everybody may enter": ("etc", lambda entry: entry.isdir() and entry.mode == 0o755),
    "a file everybody may read": ("etc/secret", lambda entry: entry.isreg() and entry.mode == 0o644),
    "a program everybody may run": ("usr/bin/program", lambda entry: entry.isreg() and entry.mode == 0o755),
    "a hard link to what came before": ("usr/bin/same", lambda entry: entry.islnk() and entry.linkname == HARD),
    "a link as it is": ("bin", lambda entry: entry.issym() and entry.linkname == "usr/bin"),
    "a link that leads nowhere": ("nowhere", lambda entry: entry.issym() and entry.linkname == "/does/not/exist"),
    "a pipe": ("pipe", lambda entry: entry.isfifo()),
    "root's, whoever made it": ("etc/secret", lambda entry: (entry.uid, entry.gid) == (0, 0)),
    "no names of owners, which differ between machines": ("etc", lambda entry: (entry.uname, entry.gname) == ("", "")),
    "no later than the epoch": ("etc/secret", lambda entry: entry.mtime == EPOCH),
    "the time of what is older": ("old", lambda entry: entry.mtime == 1_000_000_000.5),
    "a name longer than the old format takes": ("long-" + "n" * 120, lambda entry: entry.isreg()),
    "a name beyond ASCII": ("größe", lambda entry: entry.isreg()),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_a_layer_holds(rule: str, tree: Path, tmp_path: Path) -> None:
    name, holds = RULES[rule]
    assert holds(entries(written(tree, tmp_path))[name])


def test_a_layer_holds_everything_once_in_the_order_of_names(tree: Path, tmp_path: Path) -> None:
    with tarfile.open(written(tree, tmp_path).path) as archive:
        names = archive.getnames()
    assert names == sorted(set(names), key=lambda name: name.encode().split(b"/"))
    assert set(names) == {str(path.relative_to(tree)) for path in tree.rglob("*")}


def test_a_layer_says_its_digest_and_size(tree: Path, tmp_path: Path) -> None:
    layer = written(tree, tmp_path)
    assert (layer.digest, layer.size) == (file_sha256(layer.path), layer.path.stat().st_size)


def test_the_same_content_gives_the_same_bytes(tree: Path, tmp_path: Path) -> None:
    first = written(tree, tmp_path, "first.tar")
    other = tmp_path / "elsewhere" / "tree"
    other.mkdir(parents=True)
    ordinary(other)
    (other / "etc").chmod(0o777)
    list(other.rglob("*"))
    (other / "old").read_text()
    second = written(other, tmp_path, "second.tar")
    assert first.path.read_bytes() == second.path.read_bytes()


def test_a_root_keeps_owners_modes_and_capabilities_as_they_are_inside(tmp_path: Path) -> None:
    box = sandbox(tmp_path)
    if not box.ids.direct:
        pytest.skip("needs root to give files to others")
    box.prepare("layer")
    base = box.ids.uid_base
    program = box.workspace / "root" / "newuidmap"
    program.write_text("")
    os.chown(program, base + 7, base + 42)
    program.chmod(0o4750)
    capable = box.workspace / "root" / "ping"
    capable.write_text("")
    os.chown(capable, base, base)
    granted = struct.pack("<IIIIII", 0x03000001, 1 << 13, 0, 0, 0, base)  # struct vfs_ns_cap_data of linux/capability.h
    os.setxattr(capable, CAPABILITY, granted)
    target = box.workspace / "layer" / "layer.tar"
    layer = write_layer(box.workspace / "root", target, epoch=EPOCH, comment="", tools=box.tools(), as_it_is=True)
    found = entries(layer)
    assert (found["newuidmap"].uid, found["newuidmap"].gid) == (7, 42)
    assert stat.S_IMODE(found["newuidmap"].mode) == 0o4750
    plain = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)  # struct vfs_cap_data: without an owner
    assert found["ping"].pax_headers[f"SCHILY.xattr.{CAPABILITY}"].encode("utf-8", "surrogateescape") == plain
