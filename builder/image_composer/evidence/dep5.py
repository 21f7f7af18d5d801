"""Reads machine-readable copyright files (copyright format 1.0, "DEP-5") as the licence that a package declares.

The declaration covers every file of the source package, so it may name more than a binary package holds. It is
passed on as the package's own statement and nothing is concluded from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from image_composer.digest import bytes_sha256
from image_composer.evidence.deb822 import paragraphs
from image_composer.evidence.license_expression import Term, join, parse_synopsis

NOASSERTION = "NOASSERTION"
"""SPDX's word for: nothing is said about it."""

_FORMAT = re.compile(r"copyright-format/1\.0|dep5|DEP5|dep/5|copyright-format", re.ASCII)
_ILLEGAL = re.compile(r"[^A-Za-z0-9.-]+", re.ASCII)

_LONGEST_NAME = 60
"""Characters of a licence's name that a reference keeps; the digest tells references apart anyway."""


@dataclass(frozen=True, slots=True)
class ExtractedLicense:
    """A licence that SPDX has no identifier for, with the text that the package gives."""

    reference: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class DeclaredLicense:
    """The licence that a package declares."""

    expression: str = NOASSERTION
    """SPDX licence expression."""

    extracted: tuple[ExtractedLicense, ...] = field(default=())
    """Licences that the expression refers to by `LicenseRef-`, sorted by reference."""


def declared_license(text: str) -> DeclaredLicense:
    """Give the licence that a copyright file declares, NOASSERTION when the file is not machine-readable.

    The licences of all `Files` paragraphs hold together; a `License` in the header, which speaks for the package as
    a whole, is taken in their place.
    """
    parts = list(paragraphs(text))
    if not parts or not _is_machine_readable(parts[0]):
        return DeclaredLicense()
    header = parts[0].get("license", "")
    statements = [header] if header.strip() else [part["license"] for part in parts[1:] if _covers_files(part)]
    found: dict[str, ExtractedLicense] = {}
    texts = _texts(parts[1:])
    terms = [_declared(statement, texts, found) for statement in statements]
    if not terms:
        return DeclaredLicense()
    return DeclaredLicense(str(join(terms, "AND")), tuple(found[reference] for reference in sorted(found)))


def _is_machine_readable(header: Mapping[str, str]) -> bool:
    return bool(_FORMAT.search(header.get("format", header.get("format-specification", ""))))


def _covers_files(part: Mapping[str, str]) -> bool:
    return "files" in part and bool(part.get("license", "").strip())


def _texts(parts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Give the licence texts of a file by lower-case name; the first one given counts."""
    texts: dict[str, str] = {}
    for part in parts:
        synopsis, text = _synopsis_and_text(part.get("license", ""))
        if text:
            texts.setdefault(synopsis.lower(), text)
    return texts


def _synopsis_and_text(statement: str) -> tuple[str, str]:
    synopsis, _, text = statement.partition("\n")
    lines = ["" if line.strip() == "." else line.rstrip() for line in text.split("\n")]
    return " ".join(synopsis.split()), "\n".join(lines).strip("\n")


def _declared(statement: str, texts: Mapping[str, str], found: dict[str, ExtractedLicense]) -> Term:
    """Read one `License` field; licences without an identifier are added to `found`."""
    synopsis, inline = _synopsis_and_text(statement)

    def reference(name: str) -> str:
        text = inline if inline and name == synopsis else texts.get(name.lower(), inline)
        extracted = extracted_license(name, text or f"The package names the licence {name!r} and gives no text for it.")
        found[extracted.reference] = extracted
        return extracted.reference

    return parse_synopsis(synopsis, reference)


def extracted_license(name: str, text: str) -> ExtractedLicense:
    """Name a licence by its text, for `BSD` of one package is not `BSD` of another."""
    label = _ILLEGAL.sub("-", name)[:_LONGEST_NAME].strip("-.") or "unnamed"
    return ExtractedLicense(f"LicenseRef-{label}-{bytes_sha256(text.encode())[:12]}", name, text)
