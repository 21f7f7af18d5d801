from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spdx_tools.common.spdx_licensing import spdx_licensing

from image_composer.evidence.license_rpm import _CERTAIN, _EXCEPTIONS, parse_tag, rpm_license


def reference(name: str) -> str:
    return f"LicenseRef-{len(name)}"


@pytest.mark.parametrize(
    ("tag", "expression"),
    [
        ("GPL-2.0-or-later", "GPL-2.0-or-later"),
        ("GPL-2.0-or-later WITH GCC-exception-3.1", "GPL-2.0-or-later WITH GCC-exception-3.1"),
        ("(MIT OR Apache-2.0) AND BSD-3-Clause", "(Apache-2.0 OR MIT) AND BSD-3-Clause"),
        ("MIT AND (ISC OR (Zlib AND Apache-2.0))", "(Apache-2.0 AND Zlib OR ISC) AND MIT"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("GPL-2.0", "GPL-2.0-only"),
        ("GPLv2+", "GPL-2.0-or-later"),
        ("GPLv3", "GPL-3.0-only"),
        ("GPL+ and MIT", "GPL-1.0-or-later AND MIT"),
        ("LGPLv2.1 and GPLv2", "GPL-2.0-only AND LGPL-2.1-only"),
        ("LGPLv3+ or GPLv2+", "GPL-2.0-or-later OR LGPL-3.0-or-later"),
        ("GPLv2+ and (MIT or zlib)", "(MIT OR Zlib) AND GPL-2.0-or-later"),
        ("CC0 or ASL 2.0", "Apache-2.0 OR CC0-1.0"),
        ("MPLv2.0", "MPL-2.0"),
        # What stands for several licences stays what the package says.
        ("LGPLv2+", "LicenseRef-7"),
        ("GPL", "LicenseRef-3"),
        ("BSD or GPLv2", "GPL-2.0-only OR LicenseRef-3"),
        ("Public Domain", "LicenseRef-13"),
        ("Apache License", "LicenseRef-14"),
        ("Artistic", "LicenseRef-8"),
        ("Python", "LicenseRef-6"),
        ("GPLv3+ and GPLv3+ with exceptions", "GPL-3.0-or-later AND LicenseRef-22"),
        ("LicenseRef-Callaway-BSD", "LicenseRef-23"),
    ],
)
def test_a_tag_becomes_the_expression_that_says_the_same(tag: str, expression: str) -> None:
    assert str(parse_tag(tag, reference)) == expression


@pytest.mark.parametrize(
    "tag",
    ["and", "MIT or", "(MIT", "MIT)", "()", "MIT, ISC", "MIT " * 400, "(" * 400, "see the file COPYING in the source"],
)
def test_what_follows_no_grammar_is_kept_whole_as_one_licence(tag: str) -> None:
    assert str(parse_tag(tag, reference)) == reference(tag)


def test_a_licence_without_an_identifier_is_told_by_its_name() -> None:
    declared = rpm_license(" BSD  and\nGPLv2 ")
    [extracted] = declared.extracted
    assert declared.expression == f"GPL-2.0-only AND {extracted.reference}"
    assert extracted.reference.startswith("LicenseRef-BSD-")
    assert (extracted.name, "no text" in extracted.text) == ("BSD", True)


def test_no_tag_says_nothing() -> None:
    assert rpm_license(" ").expression == "NOASSERTION"


def test_every_identifier_of_the_tables_is_on_the_spdx_list() -> None:
    expressions = [*_CERTAIN.values(), *(f"MIT WITH {exception}" for exception in _EXCEPTIONS.values())]
    assert [text for text in expressions if spdx_licensing.validate(text).errors] == []


WORDS = [
    "GPLv2+",
    "MIT",
    "BSD",
    "Public",
    "Domain",
    "and",
    "OR",
    "WITH",
    "GCC-exception-3.1",
    "(",
    ")",
    "ASL",
    "2.0",
    ",",
]


@given(st.lists(st.sampled_from(WORDS), max_size=14))
def test_any_words_make_an_expression_that_parses(words: list[str]) -> None:
    declared = rpm_license(" ".join(words))
    if declared.expression != "NOASSERTION":
        spdx_licensing.parse(declared.expression)
        unknown = spdx_licensing.validate(declared.expression).invalid_symbols
        assert sorted(set(unknown)) == sorted(extracted.reference for extracted in declared.extracted)
