from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.evidence.dep5 import DeclaredLicense, declared_license

HEADER = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"


def test_the_licences_of_all_files_hold_together() -> None:
    text = (
        HEADER
        + "Files: *\nLicense: GPL-2+\n\nFiles: lib/*\nLicense: Expat or ISC\n\nFiles: debian/*\nLicense: GPL-2+\n"
    )
    assert declared_license(text) == DeclaredLicense("(ISC OR MIT) AND GPL-2.0-or-later")


def test_a_licence_in_the_header_speaks_for_the_whole_package() -> None:
    header = HEADER.strip() + "\nLicense: GPL-3+\n\n"
    assert declared_license(header + "Files: *\nLicense: ISC\n").expression == "GPL-3.0-or-later"


def test_an_unknown_licence_comes_with_its_text() -> None:
    text = HEADER + "Files: *\nLicense: BSD\n\nLicense: BSD\n Keep this\n .\n   notice.\n"
    declared = declared_license(text)
    [extracted] = declared.extracted
    assert declared.expression == extracted.reference
    assert extracted.reference.startswith("LicenseRef-BSD-")
    assert extracted.text == "Keep this\n\n  notice."


def test_one_name_for_two_texts_makes_two_licences() -> None:
    text = HEADER + "Files: a\nLicense: BSD\n One text.\n\nFiles: b\nLicense: BSD\n Another text.\n"
    declared = declared_license(text)
    assert [extracted.text for extracted in sorted(declared.extracted, key=lambda one: one.text)] == [
        "Another text.",
        "One text.",
    ]
    assert " AND " in declared.expression


def test_the_same_text_has_the_same_reference_in_every_package() -> None:
    first = declared_license(HEADER + "Files: *\nLicense: permissive\n As is.\n")
    second = declared_license(HEADER + "Files: x y\nCopyright: me\nLicense: permissive\n As is.\n")
    assert first == second


@pytest.mark.parametrize(
    "text",
    [
        "",
        "This package was debianized by someone. License: GPL-2+",
        "Upstream-Name: x\n\nFiles: *\nLicense: GPL-2+\n",
        HEADER,
        HEADER + "Files: *\nCopyright: me\n",
    ],
)
def test_a_file_that_says_nothing_for_machines_asserts_nothing(text: str) -> None:
    assert declared_license(text) == DeclaredLicense("NOASSERTION")


@given(st.text(), st.text(alphabet="FilesLcn:*+ -or,and.\n\t", max_size=300))
def test_no_text_breaks_the_reader(free: str, likely: str) -> None:
    for text in (free, HEADER + free, HEADER + likely, HEADER + "Files: *\nLicense: " + likely):
        declared = declared_license(text)
        assert declared.expression
        assert all(extracted.text for extracted in declared.extracted)
