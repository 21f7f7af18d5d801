"""ConfigMaps and Secrets that a document takes content from: shown to the stage that writes it, and to no other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from image_composer.spec.files import KeyRef
from image_composer.spec.image import ImageSpec

Manifest = dict[str, Any]

INPUTS = "/inputs"
"""Where the builder finds them: `configmaps/NAME/KEY` and `secrets/NAME/KEY`."""

READABLE = 0o400
"""Mode of the files: that stage runs as root."""


def input_volumes(spec: ImageSpec) -> list[Manifest]:
    """Give a volume for each object, with the keys that are named alone; while one is missing the pod doesn't start.

    Of a ConfigMap that is a tree all keys are there.
    """
    whole = _whole(spec)
    return [
        {
            "name": _volume("configmap", number),
            "configMap": {
                "name": name,
                **({} if name in whole else {"items": _items(keys)}),
                "defaultMode": READABLE,
            },
        }
        for number, (name, keys) in enumerate(_config_maps(spec).items())
    ] + [
        {
            "name": _volume("secret", number),
            "secret": {"secretName": name, "items": _items(keys), "defaultMode": READABLE},
        }
        for number, (name, keys) in enumerate(_secrets(spec).items())
    ]


def input_mounts(spec: ImageSpec) -> list[Manifest]:
    """Give the mounts of these volumes."""
    places = [
        (_volume("configmap", number), f"{INPUTS}/configmaps/{name}") for number, name in enumerate(_config_maps(spec))
    ] + [(_volume("secret", number), f"{INPUTS}/secrets/{name}") for number, name in enumerate(_secrets(spec))]
    return [{"name": volume, "mountPath": path, "readOnly": True} for volume, path in places]


def _config_maps(spec: ImageSpec) -> dict[str, list[str]]:
    files = [file.config_map_ref for file in spec.files]
    named = _keys([*files, *(script.config_map_ref for script in spec.scripts)])
    return dict(sorted({**{name: [] for name in _whole(spec)}, **named}.items()))


def _whole(spec: ImageSpec) -> set[str]:
    return {tree.config_map_ref.name for tree in spec.trees if tree.config_map_ref is not None}


def _secrets(spec: ImageSpec) -> dict[str, list[str]]:
    return _keys([file.secret_ref for file in spec.files])


def _keys(references: Iterable[KeyRef | None]) -> dict[str, list[str]]:
    """Give the keys that are named of each object, both sorted."""
    found: dict[str, set[str]] = {}
    for reference in references:
        if reference is not None:
            found.setdefault(reference.name, set()).add(reference.key)
    return {name: sorted(keys) for name, keys in sorted(found.items())}


def _items(keys: Iterable[str]) -> list[Mapping[str, str]]:
    return [{"key": key, "path": key} for key in keys]


def _volume(kind: str, number: int) -> str:
    return f"{kind}-{number}"
