"""Every kind of file system is read alike, wherever in an image it lies."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_composer.errors import InspectError
from image_composer.inspect.files import LARGEST_FILE
from support.readers import KINDS, made, opened

OFFSET = 1024 * 1024


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    return tree


def read(kind: str, tree: Path, path: str) -> bytes | None:
    with opened(kind, made(kind, tree, tree.parent / "image", OFFSET), OFFSET) as files:
        return files.read(path)


def contents() -> Iterator[bytes]:
    """Give contents that are stored in every way: none, a bit of a block, whole blocks, what can't be compressed."""
    drawn = random.Random(7)
    for size in (0, 1, 4095, 4096, 4097, 8192, 12_000, 300_000):
        words = [drawn.randbytes(drawn.randint(1, 30)) for _ in range(40)]
        yield drawn.randbytes(size)
        yield bytes(size)
        yield b"".join(drawn.choices(words, k=size))[:size]
        yield (b"text " * size)[: size // 2] + drawn.randbytes(size - size // 2)


def test_all_that_is_in_a_file_system_can_be_read(kind: str, tree: Path) -> None:
    expected = {f"/etc/file{number}": content for number, content in enumerate(contents())}
    (tree / "many").mkdir()
    expected |= {f"/many/{'name' * 10}{number}": b"" for number in range(400)}
    for path, content in expected.items():
        (tree / path[1:]).write_bytes(content)
    for number in range(9):  # what stands between a file and its content
        os.setxattr(tree / f"etc/file{number}", "user.attribute", b"x" * (number * 7))
    (tree / "empty").mkdir()
    with opened(kind, made(kind, tree, tree.parent / "image", OFFSET), OFFSET) as files:
        assert set(files.names("/")) - {"lost+found"} == {"empty", "etc", "many"}
        assert files.names("/empty") == []
        for folder in ("/etc", "/many"):
            assert files.names(folder) == sorted(path.name for path in (tree / folder[1:]).iterdir())
        shown = [path for path in expected if path.startswith("/etc")] + ["/many/" + "name" * 10 + "399"]
        assert {path: files.read(path) for path in shown} == {path: expected[path] for path in shown}


@pytest.mark.parametrize("target", ["there", "/etc/there", "../../../etc/there", "../etc/./there", "link"])
def test_links_are_followed_within_the_image(kind: str, tree: Path, target: str) -> None:
    (tree / "etc/there").write_text("content")
    (tree / "etc/link").symlink_to("/etc/there")
    (tree / "etc/asked").symlink_to(target)
    assert read(kind, tree, "/etc/asked") == b"content"


def test_links_on_the_way_are_followed(kind: str, tree: Path) -> None:
    (tree / "usr/lib/modules").mkdir(parents=True)
    (tree / "usr/lib/modules/6.1").write_text("content")
    (tree / "lib").symlink_to("usr/lib")
    (tree / "usr/lib/again").symlink_to("../../lib/modules")
    with opened(kind, made(kind, tree, tree.parent / "image", OFFSET), OFFSET) as files:
        assert files.read("/lib/again/6.1") == b"content"
        assert files.names("/lib/again") == ["6.1"]
        assert files.read("/lib/missing/6.1") is None


@pytest.mark.parametrize("target", ["asked", "missing", ".", "<2>", 'a"b', "a b", "-cat", "*", "x\ncat /etc/there"])
def test_a_link_that_leads_nowhere_is_no_file(kind: str, tree: Path, target: str) -> None:
    (tree / "etc/there").write_text("content")
    (tree / "etc/asked").symlink_to(target)
    assert read(kind, tree, "/etc/asked") is None


def test_a_link_can_not_lead_out_of_the_image(kind: str, tree: Path) -> None:
    secret = tree.parent / "secret"
    secret.write_text("of this machine")
    (tree / "etc/asked").symlink_to(secret)
    (tree / "etc/up").symlink_to("../" * 20 + str(secret)[1:])
    with opened(kind, made(kind, tree, tree.parent / "image", OFFSET), OFFSET) as files:
        assert [files.read("/etc/asked"), files.read("/etc/up")] == [None, None]


def test_a_folder_a_pipe_and_a_missing_file_are_no_file(kind: str, tree: Path) -> None:
    os.mkfifo(tree / "etc/pipe")
    with opened(kind, made(kind, tree, tree.parent / "image", OFFSET), OFFSET) as files:
        for path in ("/", "/etc", "/etc/pipe", "/etc/missing", "/etc/pipe/below"):
            assert files.read(path) is None
        assert [files.names(path) for path in ("/missing", "/etc/pipe")] == [[], []]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "erofs-none"])  # which has no holes
def test_a_file_that_would_fill_the_memory_is_not_read(kind: str, tree: Path) -> None:
    with (tree / "etc/asked").open("wb") as stream:
        stream.truncate(LARGEST_FILE + 1)
    with pytest.raises(InspectError, match="impossibly large"):
        read(kind, tree, "/etc/asked")


def test_whatever_is_damaged_the_failure_is_one_that_people_can_read(kind: str, tree: Path) -> None:
    """Nothing is written either: no name in an image can make a file here."""
    (tree / "etc/text").write_text("".join(map(str, range(20_000))))
    (tree / "etc/link").symlink_to("text")
    image = made(kind, tree, tree.parent / "image")
    sound, drawn, refused = image.read_bytes(), random.Random(3), 0
    used = [place for place, byte in enumerate(sound) if byte]
    for _ in range(30):
        damaged = bytearray(sound)
        for place in drawn.choices(used, k=drawn.choice((1, 20, 400))):
            damaged[place] = drawn.choice((0, 0xFF, drawn.randrange(256)))
        image.write_bytes(damaged[: drawn.choice((len(sound), drawn.randrange(len(sound))))])
        with opened(kind, image) as files:
            try:
                files.read("/etc/link")
                files.names("/etc")
            except InspectError:
                refused += 1
    assert refused > 3
    assert sorted(path.name for path in tree.parent.iterdir()) == ["image", "tree"]


def test_a_whole_tree_is_listed_with_rights_and_sizes_and_read_at_once(kind: str, tree: Path) -> None:
    expected = {f"/etc/a b{number}": content for number, content in enumerate(contents())}
    for path, content in expected.items():
        (tree / path[1:]).write_bytes(content)
    for number, mode in enumerate((0o600, 0o4755, 0o2755, 0o666, 0o000)):
        (tree / f"etc/a b{number}").chmod(mode)
    (tree / "var/tmp").mkdir(parents=True)
    (tree / "var/tmp").chmod(0o1777)
    (tree / "etc/link").symlink_to("a b0 -> x")
    there = {f"/{path.relative_to(tree)}": path.lstat() for path in tree.rglob("*")}
    with opened(kind, made(kind, tree, tree.parent / "image", OFFSET), OFFSET) as files:
        found = {path: node for path, node in files.tree().items() if path != "/lost+found"}
        read = files.contents({path: found[path] for path in expected})
    assert {path: oct(node.mode) for path, node in found.items()} == {
        path: oct(about.st_mode) for path, about in there.items()
    }
    assert {path: (node.uid, node.gid) for path, node in found.items()} == dict.fromkeys(
        there, (os.getuid(), os.getgid())
    )
    assert {path: found[path].size for path in expected} == {path: len(content) for path, content in expected.items()}
    assert read == expected
