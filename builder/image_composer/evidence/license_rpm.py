"""Turns the License tags of rpm packages into SPDX expressions.

Newer spec files hold SPDX expressions already. Older ones follow what Fedora wrote before 2022 ("Callaway" names):
`GPLv2+ and (MIT or BSD)`. A name is translated only where it stands for one licence; what stands for several, and a
tag that follows no grammar, is kept as a licence of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from image_composer.evidence.dep5 import DeclaredLicense, ExtractedLicense, extracted_license
from image_composer.evidence.license_expression import LONGEST_SYNOPSIS, Operator, Term, join
from image_composer.evidence.license_names import EXCEPTIONS, spdx_identifier

DEEPEST = 16
"""Brackets within brackets; real tags have two."""

MOST_WORDS = 6
"""Words of a licence's name; more are a sentence."""

_TOKEN = re.compile(r"[()]|[^\s()]+", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_:/-]*", re.ASCII)
_OPERATORS: Mapping[str, Operator] = {"and": "AND", "or": "OR"}
_GNU = re.compile(r"(gpl|lgpl|agpl)(?:v([0-9](?:\.[0-9])?))?(\+)?", re.ASCII)
_GNU_DASHED = re.compile(r"(gpl|lgpl|agpl|gfdl)-[0-9]", re.ASCII)

_CERTAIN: Mapping[str, str] = {
    "asl 1.0": "Apache-1.0",
    "asl 1.1": "Apache-1.1",
    "asl 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "artistic 2.0": "Artistic-2.0",
    "boost": "BSL-1.0",
    "cc0": "CC0-1.0",
    "mplv1.0": "MPL-1.0",
    "mplv1.1": "MPL-1.1",
    "mplv2.0": "MPL-2.0",
    "ofl": "OFL-1.1",
    "openldap": "OLDAP-2.8",
    "zpl 2.0": "ZPL-2.0",
    "zpl 2.1": "ZPL-2.1",
    # Identifiers that only spec files use.
    "bsd-2-clause-views": "BSD-2-Clause-Views",
    "bsd-3-clause-lbnl": "BSD-3-Clause-LBNL",
    "hpnd-sell-variant": "HPND-sell-variant",
    "isc": "ISC",
    "libselinux-1.0": "libselinux-1.0",
    "libtiff": "libtiff",
    "spencer-86": "Spencer-86",
    "zlib-acknowledgement": "zlib-acknowledgement",
}
"""Names of one licence, in lower case."""

_EXCEPTIONS: Mapping[str, str] = {
    name.lower(): name
    for name in (
        *EXCEPTIONS.values(),
        *("Autoconf-exception-2.0", "Autoconf-exception-3.0", "GCC-exception-2.0", "GCC-exception-3.1"),
        *("OCaml-LGPL-linking-exception", "openvpn-openssl-exception", "u-boot-exception-2.0"),
        *("GPL-CC-1.0", "WxWindows-exception-3.1", "Swift-exception", "Texinfo-exception", "freertos-exception-2.0"),
    )
}


def rpm_license(tag: str) -> DeclaredLicense:
    """Give the licence that a License tag declares, NOASSERTION when it is empty."""
    found: dict[str, ExtractedLicense] = {}

    def reference(name: str) -> str:
        extracted = extracted_license(name, f"The package names the licence {name!r} and gives no text for it.")
        found[extracted.reference] = extracted
        return extracted.reference

    text = " ".join(tag.split())
    if not text:
        return DeclaredLicense()
    term = parse_tag(text, reference)
    return DeclaredLicense(str(term), tuple(found[key] for key in sorted(found) if key in str(term)))


def parse_tag(tag: str, reference: Callable[[str], str]) -> Term:
    """Give the SPDX expression of a tag.

    Args:
        tag: the tag, blanks made single.
        reference: gives the `LicenseRef-` for a name that stands for no one licence.
    """
    if len(tag) > LONGEST_SYNOPSIS:
        return Term((reference(tag),))
    try:
        return _Reader(_TOKEN.findall(tag), reference).whole()
    except _NotInGrammarError:
        return Term((reference(tag),))


class _NotInGrammarError(Exception):
    """The tag is prose; handled where it is parsed."""


class _Reader:
    """Reads names joined by `and`, `or` and `with`; as in SPDX, `or` binds the least."""

    def __init__(self, tokens: list[str], reference: Callable[[str], str]) -> None:
        self._tokens = tokens
        self._place = 0
        self._reference = reference

    def whole(self) -> Term:
        term = self._any(0)
        if self._place < len(self._tokens):
            raise _NotInGrammarError
        return term

    def _any(self, depth: int) -> Term:
        return self._joined("or", lambda: self._joined("and", lambda: self._one(depth)))

    def _joined(self, word: str, operand: Callable[[], Term]) -> Term:
        terms = [operand()]
        while self._next().lower() == word:
            self._place += 1
            terms.append(operand())
        return join(terms, _OPERATORS[word])

    def _one(self, depth: int) -> Term:
        if self._next() != "(":
            return _named(list(self._words()), self._reference)
        if depth == DEEPEST:
            raise _NotInGrammarError
        self._place += 1
        term = self._any(depth + 1)
        if self._next() != ")":
            raise _NotInGrammarError
        self._place += 1
        return term

    def _words(self) -> Iterator[str]:
        while (word := self._next()) and word not in {"(", ")"} and word.lower() not in _OPERATORS:
            self._place += 1
            yield word

    def _next(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""


def _named(words: list[str], reference: Callable[[str], str]) -> Term:
    """Read one licence, perhaps of several words, with its exception if it has one."""
    if not words or not all(_NAME.fullmatch(word) for word in words) or len(words) > MOST_WORDS:
        raise _NotInGrammarError
    text = " ".join(words)
    lowered = [word.lower() for word in words]
    if len(words) == len(("name", "with", "exception")) and lowered[1] == "with":
        identifier, exception = _identifier(lowered[0]), _EXCEPTIONS.get(lowered[2])
        if identifier and exception:
            return Term((f"{identifier} WITH {exception}",))
    return Term((_identifier(text.lower()) or reference(text),))


def _identifier(name: str) -> str | None:
    """Give the SPDX identifier of a name in lower case; None where it could mean several licences."""
    if name in _CERTAIN:
        return _CERTAIN[name]
    match = _GNU.fullmatch(name)
    if match is not None:
        return _gnu_identifier(*match.groups())
    identifier = spdx_identifier(name)
    # Other spellings in that table are Debian's, which gives one meaning to names that have several here.
    spelt_alike = identifier is not None and (identifier.lower() == name or _GNU_DASHED.match(name))
    return identifier if spelt_alike else None


def _gnu_identifier(family: str, version: str | None, later: str | None) -> str | None:
    """Read `GPLv2+`. `GPL+` is any version; `LGPLv2` says 2 or 2.1, and no version at all says nothing."""
    if version is None:
        return "GPL-1.0-or-later" if family == "gpl" and later else None
    if family == "lgpl" and version == "2":
        return None
    return spdx_identifier(f"{family}-{version}{later or ''}")
