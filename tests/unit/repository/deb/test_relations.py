from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.repository.deb.relations import Dependency, Relation, parse_dependencies

RELATIONS = st.builds(
    Relation,
    name=st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,10}", fullmatch=True),
    any_architecture=st.booleans(),
    operator=st.just(""),
    version=st.just(""),
).flatmap(
    lambda plain: st.one_of(
        st.just(plain),
        st.builds(
            lambda operator, version: plain._replace(operator=operator, version=version),
            st.sampled_from(["<<", "<=", "=", ">=", ">>"]),
            st.from_regex(r"[0-9][0-9A-Za-z.+~:-]{0,8}", fullmatch=True),
        ),
    )
)


def written(relation: Relation) -> str:
    name = relation.name + (":any" if relation.any_architecture else "")
    return f"{name} ({relation.operator} {relation.version})" if relation.operator else name


@given(st.lists(st.lists(RELATIONS, min_size=1, max_size=3), max_size=4))
def test_what_is_written_is_read(field: list[list[Relation]]) -> None:
    text = ", ".join(" | ".join(map(written, alternatives)) for alternatives in field)
    assert [list(dependency.alternatives) for dependency in parse_dependencies(text)] == field


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    parse_dependencies(text)


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ("a(>=1)", Relation("a", operator=">=", version="1")),
        ("a   ( = 1:2-3 )", Relation("a", operator="=", version="1:2-3")),
        (" a:any(<< 2)", Relation("a", any_architecture=True, operator="<<", version="2")),
    ],
)
def test_white_space_does_not_count(text: str, relation: Relation) -> None:
    assert [dependency.alternatives for dependency in parse_dependencies(text)] == [(relation,)]


def test_an_alternative_for_a_foreign_architecture_is_none() -> None:
    assert parse_dependencies("wine:i386 | wine64") == [Dependency("wine:i386 | wine64", (Relation("wine64"),))]
