"""What the watches have shown: ImageBuilds, Jobs and pods, as far as decisions need them, by whose they are.

A hint, not the truth: every write names the version of the object that it was decided upon, and every Job has a name
that can only be made once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from image_composer_operator.model import Body
from image_composer_operator.names import LABEL_UID
from image_composer_operator.observe import Job, Pod, read_job, read_pod

Key = tuple[str, str]
"""Namespace and name of an ImageBuild."""

Kind = Literal["imagebuilds", "jobs", "pods"]
Source = Literal["watch", "list", "answer"]

Entry = TypeVar("Entry")


@dataclass
class _Shelf(Generic[Entry]):
    """The children of each ImageBuild, by its uid and by their names."""

    by_owner: dict[str, dict[str, Entry]] = field(default_factory=dict)

    def put(self, owner: str, name: str, entry: Entry) -> None:
        self.by_owner.setdefault(owner, {})[name] = entry

    def drop(self, owner: str, name: str) -> None:
        entries = self.by_owner.get(owner, {})
        entries.pop(name, None)
        if not entries:
            self.by_owner.pop(owner, None)

    def of(self, owner: str) -> list[Entry]:
        return list(self.by_owner.get(owner, {}).values())


class Index:
    """The objects seen last."""

    def __init__(self) -> None:
        self._builds: dict[Key, Body] = {}
        self._keys: dict[str, Key] = {}
        self._jobs: _Shelf[Job] = _Shelf()
        self._pods: _Shelf[Pod] = _Shelf()
        self._versions: dict[str, int] = {}
        self._watched: dict[str, int] = {}

    def put(self, kind: Kind, body: Body, source: Source) -> Key | None:
        """Take an object, unless a newer version of it is here already; give the ImageBuild that it concerns."""
        metadata = body["metadata"]
        uid, version = metadata["uid"], _number(metadata.get("resourceVersion", ""))
        if source == "watch":
            self._watched[uid] = max(version, self._watched.get(uid, 0))
        if version <= self._versions.get(uid, -1):
            return None
        self._versions[uid] = version
        owner = _owner(kind, body)
        if kind == "imagebuilds":
            key = (metadata["namespace"], metadata["name"])
            former = self._builds.get(key)
            if former is not None and former["metadata"]["uid"] != uid:
                self._keys.pop(former["metadata"]["uid"], None)
            self._builds[key], self._keys[uid] = _without_managed_fields(body), key
        elif kind == "jobs":
            self._jobs.put(owner, metadata["name"], read_job(body))
        else:
            self._pods.put(owner, metadata["name"], read_pod(body))
        return self._keys.get(owner)

    def remove(self, kind: Kind, body: Body) -> Key | None:
        """Forget an object; give the ImageBuild that it concerned."""
        metadata = body["metadata"]
        owner = _owner(kind, body)
        key = self._keys.get(owner)
        self._versions.pop(metadata["uid"], None)
        self._watched.pop(metadata["uid"], None)
        if kind == "imagebuilds":
            self._keys.pop(metadata["uid"], None)
            held = self._builds.get((metadata["namespace"], metadata["name"]))
            if held is not None and held["metadata"]["uid"] == metadata["uid"]:
                del self._builds[metadata["namespace"], metadata["name"]]
        elif kind == "jobs":
            self._jobs.drop(owner, metadata["name"])
        else:
            self._pods.drop(owner, metadata["name"])
        return key

    def build(self, key: Key) -> Body | None:
        """Give an ImageBuild."""
        return self._builds.get(key)

    def builds(self) -> Iterator[tuple[Key, Body]]:
        """Give all ImageBuilds."""
        yield from self._builds.items()

    def jobs_of(self, uid: str) -> list[Job]:
        """Give the Jobs of an ImageBuild."""
        return self._jobs.of(uid)

    def pods_of(self, uid: str) -> list[Pod]:
        """Give the pods of an ImageBuild."""
        return self._pods.of(uid)

    def behind(self, body: Body) -> bool:
        """Say whether the watch has not yet shown this version of an object."""
        metadata = body["metadata"]
        return self._watched.get(metadata["uid"], 0) < _number(metadata.get("resourceVersion", ""))

    def keep_only(self, kind: Kind, namespace: str | None, uids: set[str], version: str) -> list[Key]:
        """Forget the objects of a kind that a list no longer has; give the ImageBuilds that they concerned.

        Args:
            kind: of the objects.
            namespace: that was listed; all when absent.
            uids: those that the list has.
            version: of the list: what is newer than it stays.
        """
        limit = _number(version)

        def is_gone(uid: str) -> bool:
            return uid not in uids and self._versions.get(uid, 0) <= limit

        concerned: list[Key] = []
        if kind == "imagebuilds":
            for key, body in list(self._builds.items()):
                if namespace in (None, key[0]) and is_gone(body["metadata"]["uid"]):
                    self.remove(kind, body)
                    concerned.append(key)
            return concerned
        shelf: _Shelf[Any] = self._jobs if kind == "jobs" else self._pods
        entries = [(owner, entry) for owner, held in shelf.by_owner.items() for entry in held.values()]
        for owner, entry in entries:
            concerns = self._keys.get(owner)
            if is_gone(entry.uid) and (namespace is None or (concerns is not None and concerns[0] == namespace)):
                shelf.drop(owner, entry.name)
                self._versions.pop(entry.uid, None)
                self._watched.pop(entry.uid, None)
                concerned += [concerns] if concerns is not None else []
        return concerned


def _owner(kind: Kind, body: Body) -> str:
    metadata = body["metadata"]
    uid: str = metadata["uid"] if kind == "imagebuilds" else (metadata.get("labels") or {}).get(LABEL_UID, "")
    return uid


def _number(version: str) -> int:
    """Give a resource version as a number: all API servers count, though clients were long told not to rely on it."""
    return int(version) if version.isdigit() else 0


def _without_managed_fields(body: Body) -> Body:
    """Leave out what only server-side apply reads and is often larger than the rest."""
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return {**body, "metadata": metadata}
