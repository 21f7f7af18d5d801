from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from containers.cache import KEPT, LOCK_SECONDS, LayerCache
from containers.layer import Layer
from image_composer.digest import file_sha256
from image_composer.repository.lock import Lock
from image_composer.spec.image import Target


class Maker:
    """Makes layers, and counts them."""

    def __init__(self, content: str = "layer") -> None:
        self.content, self.calls = content, 0

    def __call__(self, path: Path) -> Layer:
        self.calls += 1
        path.write_text(self.content)
        return Layer(path, file_sha256(path), path.stat().st_size, 7, "ours")


def lock(digest: str) -> Lock:
    return Lock(
        target=Target(distribution="debian", release="12"), request_digest=digest * 64, repositories=[], packages=[]
    )


@pytest.fixture
def cache(tmp_path: Path) -> LayerCache:
    return LayerCache(tmp_path / "containers")


def test_a_layer_is_made_once(cache: LayerCache) -> None:
    make = Maker()
    first, second = cache.layer("key", make), cache.layer("key", make)
    assert make.calls == 1
    assert first == second
    assert (first.path.read_text(), first.epoch, first.comment) == ("layer", 7, "ours")


def test_another_key_is_another_layer(cache: LayerCache) -> None:
    assert cache.layer("one", Maker("1")).digest != cache.layer("two", Maker("2")).digest


def test_a_layer_that_could_not_be_made_is_tried_again(cache: LayerCache) -> None:
    def fail(path: Path) -> Layer:
        path.write_text("half")
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        cache.layer("key", fail)
    assert cache.layer("key", Maker()).path.read_text() == "layer"


def test_two_who_want_the_same_layer_make_it_once(cache: LayerCache) -> None:
    make = Maker()
    threads = [threading.Thread(target=cache.layer, args=("key", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert make.calls == 1


def test_the_layers_used_last_are_kept(cache: LayerCache) -> None:
    for number in range(KEPT + 2):
        layer = cache.layer(f"{number:02}", Maker(str(number)))
        os.utime(layer.path.with_suffix(".json"), (number, number))
    (cache.folder / "killed.part").write_text("")
    os.utime(cache.folder / "killed.part", (1, 1))
    cache.trim()
    assert sorted(path.stem for path in cache.folder.glob("*.tar")) == [f"{number:02}" for number in range(2, KEPT + 2)]
    assert not (cache.folder / "killed.part").exists()


def test_what_others_remove_while_it_is_looked_at_is_passed_over(cache: LayerCache) -> None:
    kept = cache.layer("key", Maker())
    for name in ("gone.json", "gone.part"):  # listed, and not there when it is looked at
        (cache.folder / name).symlink_to("nowhere")
    cache.trim()
    assert kept.path.exists()


def test_a_lock_is_used_for_a_day(cache: LayerCache) -> None:
    assert cache.lock("key", lambda: lock("a"), refresh=False) == lock("a")
    assert cache.lock("key", lambda: lock("b"), refresh=False) == lock("a")
    assert cache.lock("key", lambda: lock("c"), refresh=True) == lock("c")
    old = (cache.folder / "key.lock.json").stat().st_mtime - LOCK_SECONDS - 1
    os.utime(cache.folder / "key.lock.json", (old, old))
    assert cache.lock("key", lambda: lock("d"), refresh=False) == lock("d")


@pytest.mark.parametrize(
    ("environment", "folder"),
    [({"HOME": "/home/me"}, "/home/me/.cache"), ({"HOME": "/home/me", "XDG_CACHE_HOME": "/var/x"}, "/var/x")],
)
def test_the_cache_is_where_the_user_keeps_caches(environment: dict[str, str], folder: str) -> None:
    assert LayerCache.of(environment).folder == Path(folder) / "image-composer-dev" / "containers"
