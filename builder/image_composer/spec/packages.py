"""The words by which a spec asks for packages."""

from __future__ import annotations

import re
from typing import NamedTuple

NAME = r"[A-Za-z0-9][A-Za-z0-9+._-]*"
VERSION = r"[A-Za-z0-9][A-Za-z0-9.+~:^_-]*"


class RequestedPackage(NamedTuple):
    """A package that the user asks for."""

    name: str
    version: str | None


def check_package_request(text: str) -> str:
    """Give the request back when it is `name` or `name=version`.

    Raises:
        ValueError: with the sentence for the user.
    """
    if re.search(r"[*?\[\]]", text):
        raise ValueError(f"{text!r} has a wildcard; name each package, so that a new one can't slip in unnoticed")
    if re.search(r"[<>~]=|[<>(]|\s", text):
        raise ValueError(f"{text!r} must be 'name' or 'name=version'; ranges are not supported")
    if re.fullmatch(rf"{NAME}(={VERSION})?", text) is None:
        raise ValueError(f"{text!r} is not a package: write 'name' or 'name=version'")
    return text


def parse_package_request(text: str) -> RequestedPackage:
    """Split a checked request into name and version."""
    name, _, version = text.partition("=")
    return RequestedPackage(name, version or None)
