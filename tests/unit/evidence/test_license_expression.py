from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spdx_tools.common.spdx_licensing import spdx_licensing

from image_composer.evidence.license_expression import parse_synopsis
from image_composer.evidence.license_names import EXCEPTIONS, IDENTIFIERS, spdx_identifier


def reference(name: str) -> str:
    return f"LicenseRef-{len(name)}"


@pytest.mark.parametrize(
    ("synopsis", "expression"),
    [
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-2", "GPL-2.0-only"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("GPL-2.0-only", "GPL-2.0-only"),
        ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
        ("Expat", "MIT"),
        ("bsd-3-clause", "BSD-3-Clause"),
        ("Perl", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
        ("GPL-1+ or Artistic", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
        ("Perl and Zlib", "(Artistic-1.0-Perl OR GPL-1.0-or-later) AND Zlib"),
        ("Zlib or ISC and MIT", "ISC AND MIT OR Zlib"),
        ("Zlib or ISC, and MIT", "(ISC OR Zlib) AND MIT"),
        ("GPL-2+ or AFL-2.1, and Expat and Zlib", "(AFL-2.1 OR GPL-2.0-or-later) AND MIT AND Zlib"),
        ("MIT and Expat", "MIT"),
        ("GPL-3+ with Bison exception", "GPL-3.0-or-later WITH Bison-exception-2.2"),
        ("GPL-2 with the Linux-syscall-note exception", "GPL-2.0-only WITH Linux-syscall-note"),
        ("GPL-2+ with OpenSSL exception or ISC", "ISC OR LicenseRef-29"),
        ("BSD", "LicenseRef-3"),
        ("GPL-4", "LicenseRef-5"),
        ("GPL", "LicenseRef-3"),
    ],
)
def test_a_synopsis_becomes_the_expression_that_says_the_same(synopsis: str, expression: str) -> None:
    assert str(parse_synopsis(synopsis, reference)) == expression


@pytest.mark.parametrize(
    "synopsis", ["", "or", "MIT or", ", and MIT", "MIT, ISC", "a b c", "MIT and/or ISC", "MIT " * 400, "see below"]
)
def test_what_is_no_synopsis_is_kept_whole_as_one_licence(synopsis: str) -> None:
    assert str(parse_synopsis(synopsis, reference)) == reference(" ".join(synopsis.split()))


def test_every_identifier_of_the_table_is_on_the_spdx_list() -> None:
    gnu = [f"{family}{ending}" for family in ("GPL-2", "LGPL-2.1", "AGPL-3", "GFDL-1.3") for ending in ("", "+")]
    expressions = [*IDENTIFIERS.values(), *(spdx_identifier(name) or name for name in gnu)]
    expressions += [f"MIT WITH {exception}" for exception in EXCEPTIONS.values()]
    assert [text for text in expressions if spdx_licensing.validate(text).errors] == []


WORDS = ["GPL-2+", "MIT", "BSD", "Perl", "and", "or", ",", "with", "exception", "(", ")"]


@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_any_words_make_an_expression_that_parses(words: list[str]) -> None:
    expression = str(parse_synopsis(" ".join(words), reference))
    spdx_licensing.parse(expression)
    unknown = spdx_licensing.validate(expression).invalid_symbols
    assert all(symbol.startswith("LicenseRef-") for symbol in unknown)
