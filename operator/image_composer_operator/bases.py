"""What ImageBuilds build on: ConfigMaps and other ImageBuilds of their namespace, asked for at every look.

Neither is watched for this: a change is noticed when an ImageBuild is looked at next, at a resync at the latest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from image_composer.digest import bytes_sha256
from image_composer.errors import SpecError
from image_composer.spec.layers.compose import (
    MOST_DOCUMENTS,
    Address,
    Surroundings,
    UnavailableError,
    first_unknown,
)
from image_composer.spec.parse import parse
from image_composer_operator.cluster import Cluster
from image_composer_operator.index import Index
from image_composer_operator.model import ImageBuild, as_base, image_of

MOST_PARSED = 64
"""Parsed ConfigMaps that are kept: reading YAML of 100 KiB takes a second."""

Found = Mapping[Address, Mapping[str, Any] | SpecError]
"""Documents, or what is wrong with them."""


@dataclass
class Bases:
    """Finds what ImageBuilds build on."""

    cluster: Cluster
    index: Index
    _parsed: dict[tuple[Address, str], Mapping[str, Any] | SpecError] = field(default_factory=dict)

    async def surroundings(self, build: ImageBuild) -> tuple[Surroundings | None, str]:
        """Give what an ImageBuild builds on, if anything, and a sentence about what is missing of it.

        Raises:
            ApiError: the API does not say.
        """
        if build.deleting or not image_of(build.body).get("extends"):
            return None, ""
        own, found, missing = Address("ImageBuild", build.name), dict[Address, Mapping[str, Any] | SpecError](), ""
        for _ in range(MOST_DOCUMENTS):
            wanted = _first_unknown(build, own, found)
            if wanted is None:
                break
            document = await self._read(build.namespace, wanted)
            if document is None:
                key = f", or its key {wanted.key}," if wanted.key else ""
                missing = f"the {wanted.kind} {wanted.name}{key} that spec.image.extends leads to is not there"
                break
            found[wanted] = document
        return Surroundings(partial(_load, found), own), missing

    async def _read(self, namespace: str, address: Address) -> Mapping[str, Any] | SpecError | None:
        if address.kind == "ImageBuild":
            body = self.index.build((namespace, address.name))
            body = body or await self.cluster.get("imagebuilds", namespace, address.name)
            return as_base(body) if body is not None else None
        text = await self.cluster.config_text(namespace, address.name, address.key)
        return await self._parse(address, text) if text is not None else None

    async def _parse(self, address: Address, text: str) -> Mapping[str, Any] | SpecError:
        """Parse a document; what is the same is parsed once."""
        content = text.encode()
        known = address, bytes_sha256(content)
        if known not in self._parsed:
            while len(self._parsed) >= MOST_PARSED:
                del self._parsed[next(iter(self._parsed))]
            # A thread, because this is the users' to make large: other ImageBuilds must not wait for it.
            try:
                self._parsed[known] = await asyncio.to_thread(parse, content, str(address))
            except SpecError as error:
                self._parsed[known] = error
        return self._parsed[known]


def _first_unknown(build: ImageBuild, own: Address, found: Found) -> Address | None:
    """Give what an ImageBuild turns out to build on, with what has been found already."""
    with suppress(SpecError):  # what is wrong is told when the plan is made
        return first_unknown(image_of(build.body), own, found, partial(_load, found))
    return None


def _load(found: Found, address: Address) -> Mapping[str, Any]:
    document = found.get(address)
    if document is None:
        raise UnavailableError("which is not there")
    if isinstance(document, SpecError):
        raise document
    return document
