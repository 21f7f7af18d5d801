"""The same lock and document give the same bytes, wherever they are built."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_composer.digest import file_sha256
from support.image import RELEASES, Image, build

pytestmark = [pytest.mark.build, pytest.mark.network, pytest.mark.parametrize("release", RELEASES[:1], indirect=True)]


@pytest.fixture
def again(image: Image, tmp_path: Path) -> Iterator[Image]:
    """The image built once more: from the first one's lock, on a disk and not in memory, in a longer path."""
    workspace = tmp_path / "a folder" / "elsewhere"
    yield build(
        image.composer, image.file, tmp_path / "out", "--lock", image.path("lock.json"), "--workspace", workspace
    )
    shutil.rmtree(tmp_path)


def test_two_builds_give_the_same_bytes(image: Image, again: Image) -> None:
    names = sorted(path.name for path in image.folder.iterdir() if path.name != "result.json")
    assert {name: file_sha256(again.folder / name) for name in names} == {
        name: file_sha256(image.folder / name) for name in names
    }
    assert again.result.artifacts == image.result.artifacts
    assert again.result.lock_digest == image.result.lock_digest
