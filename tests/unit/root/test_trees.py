"""Trees of files: what archives and folders hold becomes entries, and what would do harm is refused by its name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.root import trees
from image_composer.root.trees import Entry, EntryKind, TreeError, pack, read_archive, read_folder, read_keys

FILE, FOLDER, LINK = EntryKind.FILE, EntryKind.FOLDER, EntryKind.LINK


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    found = tarfile.TarInfo(name)
    found.size = len(content)
    for field, value in fields.items():
        setattr(found, field, value)
    return found, content


def archive(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as written:
        for info, content in members:
            written.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.SYMTYPE, linkname=target)


PLAIN = archive(
    member("./", type=tarfile.DIRTYPE, mode=0o700),
    member("./etc/", type=tarfile.DIRTYPE, mode=0o1777),
    member("etc/gate.conf", b"listen\n", mode=0o640, uid=1000, uname="me"),
    member("etc/gate", b"x", mode=0o6777),
    member("etc/hard", type=tarfile.LNKTYPE, linkname="./etc/gate"),
    link("etc/here", "../etc/./gate.conf"),
    link("up", "etc"),
    member("etc/$(touch x) 'é'", b"", mode=0),
)
ENTRIES = [
    Entry("etc", FOLDER, 0o755),
    Entry("etc/gate.conf", FILE, 0o640, b"listen\n"),
    Entry("etc/gate", FILE, 0o755, b"x"),
    Entry("etc/hard", FILE, 0o755, b"x"),
    Entry("etc/here", LINK, target="../etc/./gate.conf"),
    Entry("up", LINK, target="etc"),
    Entry("etc/$(touch x) 'é'", FILE, 0o600),
]


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_an_archive_s_files_folders_and_links_are_read_without_what_gives_rights(
    compress: Callable[[bytes], bytes],
) -> None:
    assert read_archive(compress(PLAIN)) == ENTRIES


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_are_read(form: int) -> None:
    name = "/".join(["a" * 200] * 4)
    assert [entry.path for entry in read_archive(archive(member(name), form=form))] == [name]


REFUSED: list[tuple[tuple[tuple[tarfile.TarInfo, bytes], ...], str]] = [
    ((member("/etc/shadow"),), "holds '/etc/shadow', whose path is absolute"),
    ((member("../etc/shadow"),), "holds '../etc/shadow', whose path leads out"),
    ((member("a/../../b"),), "holds 'a/../../b', whose path leads out"),
    ((member("a\nb"),), r"holds 'a\nb', in whose name or target is what can't be printed"),
    ((member("a\x1b[31m"),), r"holds 'a\x1b[31m', in whose name or target is what can't be printed"),
    ((member("a\udcff"),), r"holds 'a\udcff', in whose name or target is what can't be printed"),
    ((member("a" * 256),), f"holds '{'a' * 40}"),
    ((member("/".join(["a"] * 600)),), "holds 'a/a/a"),
    ((link("a", "/etc/shadow"),), "holds 'a', a link to '/etc/shadow', which is not relative"),
    ((link("a", "../b"),), "holds 'a', a link to '../b', which leads out"),
    ((link("a/b", "../../b"),), "holds 'a/b', a link to '../../b', which leads out"),
    ((link("a/b", "c/../../../a"),), "holds 'a/b', a link to 'c/../../../a', which leads out"),
    ((link("a/up", ".."), link("a/b", "up/../x")), "holds 'a/b', a link to 'up/../x', which has '..' after a name"),
    ((link("a", "b\n"),), "holds 'a', in whose name or target is what can't be printed"),
    ((link("a", "./."),), "holds 'a', a link to './.', where nothing can be"),
    ((link("a", "b"), member("a/c")), "holds 'a/c' below 'a', which is no folder"),
    ((member("a/b/c"), member("a")), "holds 'a/b/c' below 'a', which is no folder"),
    ((member("a"), member("./a")), "holds 'a' twice"),
    ((member("a"), member("a/", type=tarfile.DIRTYPE)), "holds 'a' as a folder and as something else"),
    (
        (member("a", type=tarfile.LNKTYPE, linkname="/etc/shadow"),),
        "holds '/etc/shadow', whose path is absolute",
    ),
    (
        (member("a", type=tarfile.LNKTYPE, linkname="b"), member("b")),
        "holds 'a', a hard link to what is no file before it in the archive",
    ),
    ((member("a", type=tarfile.CHRTYPE),), "holds 'a', which is no file, folder or link"),
    ((member("a", type=tarfile.BLKTYPE),), "holds 'a', which is no file, folder or link"),
    ((member("a", type=tarfile.FIFOTYPE),), "holds 'a', which is no file, folder or link"),
]


@pytest.mark.parametrize(("members", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_would_lead_out_or_is_no_file_is_refused_by_its_name(
    members: tuple[tuple[tarfile.TarInfo, bytes], ...], said: str
) -> None:
    with pytest.raises(TreeError) as caught:
        read_archive(archive(*members))
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\x1f\x8bx", b"BZhx", b"\xfd7zXZ\0x", b"\x28\xb5\x2f\xfd", PLAIN[:100]]
)
def test_what_is_no_archive_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(TreeError, match="is not a tar archive that can be read"):
        read_archive(content)


@given(st.integers(0, len(PLAIN) - 1), st.binary(min_size=1, max_size=8))
def test_a_damaged_archive_is_read_or_refused_and_nothing_else(place: int, damage: bytes) -> None:
    try:
        entries = read_archive(PLAIN[:place] + damage + PLAIN[place + len(damage) :])
    except TreeError:
        return
    assert all(not entry.path.startswith("/") and ".." not in entry.path.split("/") for entry in entries)


HOSTILE = ["-rf", "--help", "$(touch x)", "a;b|c&d", "'\"'", "%n", "{{ x }}", "*", "[x]", "~root", "a b", "a\\b", "é"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_mean_something_elsewhere_are_taken_as_they_stand(name: str) -> None:
    entries = [Entry(name, FOLDER), Entry(f"{name}/{name}", FILE, 0o644), Entry(f"{name}/link", LINK, target=name)]
    assert read_archive(pack(entries)) == entries


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(st.lists(NAMES, max_size=5), st.lists(NAMES, max_size=5))
def test_any_name_and_any_target_stays_in_the_tree_or_is_refused(names: list[str], targets: list[str]) -> None:
    wanted = [Entry(name, FILE, 0o644, name.encode()) for name in names]
    wanted += [Entry(f"links/{number}", LINK, target=target) for number, target in enumerate(targets)]
    try:
        found = read_archive(pack(wanted))
    except (TreeError, ValueError):  # ValueError: a name that no archive can hold
        return
    for entry in found:
        assert entry.path.isprintable()
        assert not {"", ".", ".."} & {*entry.path.split("/")}
        assert "\0" not in entry.target
        if entry.kind is LINK:
            assert not entry.target.startswith("/")
            assert os.path.normpath(f"/top/{entry.path}/../{entry.target}").startswith("/top")


def test_what_is_too_large_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "LARGEST_TREE", 1000)
    monkeypatch.setattr(trees, "OVERHEAD", 10_000)
    with pytest.raises(TreeError, match="holds 'a', which has more than"):
        read_archive(archive(member("a", b"x" * 1001)))
    with pytest.raises(TreeError, match=r"has more than .* with 'b'"):
        read_archive(archive(member("a", b"x" * 600), member("b", b"x" * 600)))
    headers = archive(*(member(f"a{number}", type=tarfile.DIRTYPE) for number in range(100)))
    with pytest.raises(TreeError, match="has more than"):
        read_archive(gzip.compress(headers))
    monkeypatch.setattr(trees, "OVERHEAD", 10**6)
    monkeypatch.setattr(trees, "MOST_ENTRIES", 99)
    with pytest.raises(TreeError, match="has more than 99 entries"):
        read_archive(headers)


def test_a_folder_is_read_as_it_is_checked_out(tmp_path: Path) -> None:
    """Whatever the umask was: programs can be started, other files read."""
    (tmp_path / "b").mkdir(mode=0o700)
    (tmp_path / "b/run").write_bytes(b"#!")
    (tmp_path / "b/run").chmod(0o775)
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "a").chmod(0o600)
    (tmp_path / "b/a").symlink_to("../a")
    expected = [
        Entry("a", FILE, 0o644, b"x"),
        Entry("b", FOLDER),
        Entry("b/a", LINK, target="../a"),
        Entry("b/run", FILE, 0o755, b"#!"),
    ]
    assert read_folder(tmp_path) == expected
    assert read_archive(pack(expected)) == expected
    assert pack(expected) == pack(read_folder(tmp_path))


def test_links_out_of_a_folder_and_pipes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/etc")
    with pytest.raises(TreeError, match="holds 'a', a link to '/etc', which is not relative"):
        read_folder(tmp_path)
    (tmp_path / "a").unlink()
    os.mkfifo(tmp_path / "b")
    with pytest.raises(TreeError, match="holds 'b', which is no file, folder or link"):
        read_folder(tmp_path)


def test_keys_are_files_even_where_kubernetes_made_links_of_them(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data/key").write_text("x")
    (tmp_path / "key").symlink_to("..data/key")
    assert read_keys([tmp_path / "key"]) == [Entry("key", FILE, 0o644, b"x")]
    with pytest.raises(TreeError, match=r"holds '\.\.data', which is no file"):
        read_keys([tmp_path / "..data"])
