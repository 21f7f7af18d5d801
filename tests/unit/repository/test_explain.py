from __future__ import annotations

from pathlib import Path

import pytest

from image_composer.errors import SolverError
from image_composer.repository.query import PackageQuery
from support.pools import Listed, listed, solved


def told(tmp_path: Path, query: PackageQuery | str, *repositories: Listed | str) -> tuple[str, list[str]]:
    """Give the error's code and the lines of its message below the first."""
    asked = PackageQuery(tuple(query.split())) if isinstance(query, str) else query
    lines = [line for line in repositories if isinstance(line, str)]
    sources = [source for source in repositories if isinstance(source, Listed)] or [Listed(listed(*lines))]
    with pytest.raises(SolverError) as caught:
        solved(tmp_path, asked, *sources)
    assert caught.value.hint
    return caught.value.code, [line.strip() for line in caught.value.message.splitlines()[1:]]


def test_all_unknown_names_are_told_at_once_with_near_ones(tmp_path: Path) -> None:
    assert told(tmp_path, "opensh-server chrony ngin xyzzy", "openssh-server", "chrony", "nginx", "ngin-extra") == (
        "SOLVE_UNKNOWN_PACKAGE",
        [
            "opensh-server: did you mean openssh-server?",
            "ngin: did you mean nginx, ngin-extra?",
            "xyzzy: nothing has a similar name",
        ],
    )


def test_a_virtual_package_is_told_with_its_providers(tmp_path: Path) -> None:
    lines = ["postfix; Provides: mta", "exim; Provides: mta"]
    assert told(tmp_path, "mta", *lines)[1] == [
        "mta: a virtual package, provided by exim, postfix; ask for one of them"
    ]


def test_a_name_that_may_not_come_from_its_repository_is_told_so(tmp_path: Path) -> None:
    own = Listed(listed("tool", "lib"), "own", 500, ("lib*", "doc*"))
    assert told(tmp_path, "tool", own)[1] == [
        "tool: repository own has it, but only lib*, doc* may be taken from there"
    ]


def test_an_unavailable_version_is_told_with_those_there_are(tmp_path: Path) -> None:
    assert told(tmp_path, "a=3", "a 1", "a 2") == ("SOLVE_VERSION_UNAVAILABLE", ["a 3: there is 2, 1"])


def test_many_versions_are_counted(tmp_path: Path) -> None:
    lines = [f"a {version}" for version in range(9)]
    assert told(tmp_path, "a=10", *lines)[1] == ["a 10: there is 8, 7, 6, 5, 4 and 4 more"]


def test_two_versions_asked_for_can_not_both_be(tmp_path: Path) -> None:
    assert told(tmp_path, "a=1 a=2", "a 1", "a 2")[0] == "SOLVE_VERSION_UNAVAILABLE"


def test_asked_for_and_excluded_is_a_contradiction(tmp_path: Path) -> None:
    with pytest.raises(SolverError, match="asked for and excluded at the same time: a") as caught:
        solved(tmp_path, PackageQuery(("a", "b"), exclude=("a",)), Listed(listed("a", "b")))
    assert caught.value.code == "SOLVE_EXCLUDED"


def test_an_essential_package_can_not_be_excluded(tmp_path: Path) -> None:
    with pytest.raises(SolverError, match="no installation can do without: dash") as caught:
        solved(tmp_path, PackageQuery((), exclude=("dash",)), Listed(listed("dash; Essential: yes")))
    assert caught.value.code == "SOLVE_EXCLUDED"


def test_a_need_for_an_excluded_package_is_told_with_its_chain(tmp_path: Path) -> None:
    query = PackageQuery(("x",), exclude=("z",))
    assert told(tmp_path, query, "x; Depends: y (>= 2)", "y 2; Depends: z", "z") == (
        "SOLVE_EXCLUDED",
        ["x 1 (requested) needs y >= 2, which needs z, but z is excluded"],
    )


def test_a_missing_dependency_is_told_with_its_chain(tmp_path: Path) -> None:
    assert told(tmp_path, "x", "x; Depends: y", "y; Depends: z:any (>= 3)", "z 1", "z 2") == (
        "SOLVE_UNSATISFIABLE",
        ["x 1 (requested) needs y, which needs z:any >= 3, which no repository has; there is 2, 1"],
    )


def test_a_conflict_is_told_with_the_chain_that_leads_to_it(tmp_path: Path) -> None:
    lines = ["x; Depends: y (>= 2)", "y 2; Depends: z", "z 4; Conflicts: w", "w 7"]
    assert told(tmp_path, "x w", *lines) == (
        "SOLVE_CONFLICT",
        ["x 1 (requested) needs y >= 2, which needs z; z 4 conflicts with w 7 (requested)"],
    )


def test_a_conflict_between_two_asked_for_is_told_once_though_both_say_it(tmp_path: Path) -> None:
    assert told(tmp_path, "a b", "a; Conflicts: b", "b; Conflicts: a") == (
        "SOLVE_CONFLICT",
        ["a 1 (requested) conflicts with b 1 (requested)"],
    )


def test_two_versions_of_one_package_can_not_be_needed(tmp_path: Path) -> None:
    code, lines = told(tmp_path, "a b", "a; Depends: lib (= 1)", "b; Depends: lib (= 2)", "lib 1", "lib 2")
    assert code == "SOLVE_CONFLICT"
    assert lines == [
        "a 1 (requested) needs lib = 1; b 1 (requested) needs lib = 2; lib can't be there in two versions, 1 and 2"
    ]


def test_every_alternative_is_told_why_it_can_not_be(tmp_path: Path) -> None:
    code, lines = told(tmp_path, "a w", "a; Depends: x | y", "x; Conflicts: w", "y; Conflicts: w", "w")
    assert code == "SOLVE_CONFLICT"
    assert sorted(lines) == [
        "a 1 (requested) needs x | y (taking x); x 1 conflicts with w 1 (requested)",
        "a 1 (requested) needs x | y (taking y); y 1 conflicts with w 1 (requested)",
    ]


def test_a_provider_on_the_way_is_named(tmp_path: Path) -> None:
    _, lines = told(tmp_path, "a", "a; Depends: mta", "postfix; Provides: mta; Depends: gone")
    assert lines == ["a 1 (requested) needs mta (taking postfix), which needs gone, which no repository has"]


def test_an_essential_package_is_told_as_such(tmp_path: Path) -> None:
    assert told(tmp_path, PackageQuery((), exclude=("lib",)), "base; Essential: yes; Depends: lib", "lib")[1] == [
        "base 1 (essential) needs lib, but lib is excluded"
    ]


def test_a_version_hidden_by_a_higher_priority_is_told(tmp_path: Path) -> None:
    main, own = Listed(listed("a; Depends: lib (>= 2)", "lib 2")), Listed(listed("lib 1"), "own", 900)
    assert told(tmp_path, "a", main, own) == (
        "SOLVE_UNSATISFIABLE",
        [
            "a 1 (requested) needs lib >= 2; lib 2 of repository main would do, "
            "but another repository, of higher priority, has that package too"
        ],
    )


def test_a_package_that_may_not_be_taken_is_told(tmp_path: Path) -> None:
    main, own = Listed(listed("a; Depends: lib")), Listed(listed("lib"), "own", 500, ("doc*",))
    assert told(tmp_path, "a", main, own)[1] == [
        "a 1 (requested) needs lib; lib 1 of repository own would do, but that package may not be taken from there"
    ]
