"""Finished layers, by the digest of all that went into them; shared by all checkouts of a machine."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from containers.layer import Layer
from image_composer.repository.lock import Lock, lock_text
from image_composer.store.files import entries
from image_composer.store.locks import claim

KEPT = 24
"""Layers kept: four states each of the six that there are. A layer has 2 to 160 MB."""

LOCK_SECONDS = 24 * 3600
"""How long a lock is used again without asking the mirrors: security updates come about that often."""


@dataclass(frozen=True, slots=True)
class LayerCache:
    """A folder of layers (`<key>.tar` with `<key>.json`) and of the locks used last (`<digest>.lock.json`)."""

    folder: Path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> LayerCache:
        """Give this user's, beside the other things that developing the project needs."""
        home = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME", "/root")) / ".cache")
        return cls(Path(home) / "image-composer-dev" / "containers")

    def layer(self, key: str, make: Callable[[Path], Layer]) -> Layer:
        """Give the layer of a key, made when it is not there yet; others who want the same wait for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path, facts = self.folder / f"{key}.tar", self.folder / f"{key}.json"
        with self._claimed(key):
            if not facts.exists():
                unfinished = path.with_suffix(".part")
                layer = make(unfinished)
                unfinished.replace(path)
                _write(facts, json.dumps({"digest": layer.digest, "epoch": layer.epoch, "comment": layer.comment}))
            known = json.loads(facts.read_text())
            os.utime(facts)
        return Layer(path=path, size=path.stat().st_size, **known)

    def lock(self, key: str, make: Callable[[], Lock], *, refresh: bool) -> Lock:
        """Give the lock of a request: the last one, unless it is too old or another is asked for."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{key}.lock.json"
        with self._claimed(key):
            if refresh or not path.exists() or time.time() - path.stat().st_mtime > LOCK_SECONDS:
                _write(path, lock_text(make()))
            return Lock.model_validate_json(path.read_bytes())

    def trim(self) -> None:
        """Remove all but the layers used last, and what a killed run left behind."""
        layers = [entry for entry in entries(self.folder, "*.json") if not entry.path.name.endswith(".lock.json")]
        for entry in sorted(layers, key=lambda entry: -entry.used)[KEPT:]:
            entry.path.unlink(missing_ok=True)
            entry.path.with_suffix(".tar").unlink(missing_ok=True)
        for entry in entries(self.folder, "*.part"):
            if time.time() - entry.used > LOCK_SECONDS:
                entry.path.unlink(missing_ok=True)

    @contextmanager
    def _claimed(self, key: str) -> Iterator[None]:
        with claim(self.folder / f".{key}.claim", time.sleep):
            yield


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_text(text)
    unfinished.replace(path)
