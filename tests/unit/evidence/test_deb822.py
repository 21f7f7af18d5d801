from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from image_composer.evidence.deb822 import paragraphs


def test_fields_continuations_and_comments_are_told_apart() -> None:
    text = "\n# about\nPackage: a\nDescription: short\n long\n  indented\nnonsense\n\n\nPACKAGE:b\r\nPackage: c\n"
    assert list(paragraphs(text)) == [
        {"package": "a", "description": "short\nlong\n indented"},
        {"package": "b"},
    ]


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=500))
def test_any_text_can_be_read(text: str) -> None:
    assert all(fields for fields in paragraphs(text))
