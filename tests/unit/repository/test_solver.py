from __future__ import annotations

from pathlib import Path

import pytest

from image_composer.errors import SolverError
from image_composer.repository.query import PackageQuery
from image_composer.repository.solver import solve
from support.pools import Listed, listed, pool_of, solved


def found(tmp_path: Path, asked: str, *lines: str, recommends: bool = False, exclude: str = "") -> list[str]:
    query = PackageQuery(tuple(asked.split()), tuple(exclude.split()), install_recommends=recommends)
    return solved(tmp_path, query, Listed(listed(*lines)))


CHOICES = {
    "the closure of what is asked for": ("a", ["a; Depends: b (>= 1)", "b; Pre-Depends: c", "c", "d"], "a b c"),
    "the first alternative": ("a", ["a; Depends: b | c", "b", "c"], "a b"),
    "the next alternative where the first is not there": ("a", ["a; Depends: b | c", "c"], "a c"),
    "the next alternative where the first has the wrong version": (
        "a",
        ["a; Depends: b (>= 2) | c", "b 1", "c"],
        "a c",
    ),
    "the next alternative where the first lacks something": ("a", ["a; Depends: b | c", "b; Depends: x", "c"], "a c"),
    "no alternative where one is asked for anyway": ("a c", ["a; Depends: b | c", "b", "c"], "a c"),
    "the first alternative though a later one comes too": (
        "a",
        ["a; Depends: b | c, d", "b", "c", "d; Depends: c"],
        "a b c d",
    ),
    "no alternative where an earlier need brought one": (
        "a",
        ["a; Depends: d, b | c", "b", "c", "d; Depends: c"],
        "a c d",
    ),
    "the package of that name rather than one that provides it": (
        "a",
        ["a; Depends: b", "0; Provides: b", "b; Priority: optional", "z; Provides: b"],
        "a b",
    ),
    "an essential provider rather than another": (
        "a",
        ["a; Depends: shell", "sh2; Provides: shell; Priority: required", "sh1; Provides: shell; Essential: yes"],
        "a sh1",
    ),
    "the provider of higher priority": (
        "a",
        ["a; Depends: awk", "gawk; Provides: awk", "mawk; Provides: awk; Priority: required", "oawk; Provides: awk"],
        "a mawk",
    ),
    "the last of equal providers": (
        "a",
        ["a; Depends: mta", "exim; Provides: mta", "postfix; Provides: mta", "qmail; Provides: mta"],
        "a qmail",
    ),
    "a provider of the right version": (
        "a",
        ["a; Depends: api (= 2)", "old; Provides: api (= 1)", "new; Provides: api (= 2)", "none; Provides: api"],
        "a new",
    ),
    "essential packages with what they need": ("", ["base; Essential: yes; Depends: lib", "lib", "other"], "base lib"),
    "a dependency on any architecture": (
        "a",
        ["a; Depends: python:any (>= 3)", "python 3; Multi-Arch: allowed"],
        "a python",
    ),
    "a dependency on our own architecture": ("a", ["a; Depends: lib:amd64 (>= 1), b", "lib", "b"], "a b lib"),
    "packages that replace each other": ("a b", ["a; Replaces: b", "b"], "a b"),
    "a package that conflicts with what it provides": (
        "a",
        ["a; Provides: mta; Conflicts: mta", "b; Provides: mta"],
        "a",
    ),
    "the alternative that does not conflict with what is asked for": (
        "a c",
        ["a; Depends: x | y", "x; Conflicts: c", "y", "c"],
        "a c y",
    ),
    "a choice that gives way to the only one that works": (
        "a",
        ["a; Depends: b, c", "b; Depends: x | y", "x; Conflicts: y", "y", "c; Depends: y"],
        "a b c y",
    ),
    "nothing that is only recommended or suggested": ("a", ["a; Recommends: b; Suggests: c", "b", "c"], "a"),
}


@pytest.mark.parametrize("case", CHOICES)
def test_taken_is(case: str, tmp_path: Path) -> None:
    asked, lines, expected = CHOICES[case]
    assert [package.split()[0] for package in found(tmp_path, asked, *lines)] == expected.split()


RECOMMENDED = {
    "come with what they need": (["a; Recommends: b", "b; Depends: c; Recommends: d", "c", "d"], "a b c d"),
    "stay away when they lack something": (["a; Recommends: b, c", "b; Depends: x", "c"], "a c"),
    "stay away when they conflict": (["a; Recommends: b, c; Conflicts: b", "b", "c"], "a c"),
    "are the first of several": (["a; Recommends: b | c", "b", "c"], "a b"),
    "are the next when the first can't be": (["a; Recommends: b | c", "b; Depends: x", "c"], "a c"),
    "do not come for what is suggested": (["a; Suggests: b", "b; Recommends: c", "c"], "a"),
    "stay away when they are excluded": (["a; Recommends: gone, c", "gone", "c"], "a c"),
    "leave nothing behind when they fail": (["a; Recommends: b", "b; Depends: c, x", "c"], "a"),
}


@pytest.mark.parametrize("case", RECOMMENDED)
def test_recommended_packages(case: str, tmp_path: Path) -> None:
    lines, expected = RECOMMENDED[case]
    packages = found(tmp_path, "a", *lines, recommends=True, exclude="gone")
    assert [package.split()[0] for package in packages] == expected.split()


def test_a_recommended_package_stays_away_when_it_loses_something_to_a_later_choice(tmp_path: Path) -> None:
    lines = ["a; Recommends: rc", "rc; Depends: ins", "ins", "b; Depends: s", "s; Conflicts: ins"]
    assert found(tmp_path, "a b", *lines, recommends=True) == ["a 1", "b 1", "s 1"]


def test_an_excluded_package_makes_room_for_the_alternative(tmp_path: Path) -> None:
    assert found(tmp_path, "a", "a; Depends: b | c", "b", "c", exclude="b") == ["a 1", "c 1"]


def test_the_newest_version_is_taken_from_wherever_it_is(tmp_path: Path) -> None:
    main, security = Listed(listed("a 1.10", "a 1.9")), Listed(listed("a 1.10+u1"), "security")
    assert solved(tmp_path, PackageQuery(("a",)), main, security) == ["a 1.10+u1"]


@pytest.mark.parametrize(("priority", "expected"), [(499, "a 2"), (500, "a 2"), (501, "a 1")])
def test_a_higher_priority_wins_whatever_the_version(tmp_path: Path, priority: int, expected: str) -> None:
    main, own = Listed(listed("a 2")), Listed(listed("a 1"), "own", priority)
    assert solved(tmp_path, PackageQuery(("a",)), main, own) == [expected]


def test_a_version_asked_for_is_taken_whatever_the_priority(tmp_path: Path) -> None:
    main, own = Listed(listed("a 2")), Listed(listed("a 1"), "own", 900)
    assert solved(tmp_path, PackageQuery(("a=2",)), main, own) == ["a 2"]


def test_of_equal_packages_the_one_of_the_first_repository_is_taken(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, Listed(listed("a 1")), Listed(listed("a 1"), "copy"))
    (package,) = solve(pool, PackageQuery(("a",))).packages
    assert pool.source_of(package).id == "main"


def test_only_the_names_that_may_come_from_a_repository_do(tmp_path: Path) -> None:
    main, own = Listed(listed("a 1; Depends: lib", "lib 1")), Listed(listed("a 2", "lib 2"), "own", 900, ("li*",))
    assert solved(tmp_path, PackageQuery(("a",)), main, own) == ["a 1", "lib 2"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("6.1.*", "kernel 6.1.20"), ("6.*", "kernel 6.12.1"), ("6.1.?", "kernel 6.1.9"), ("6.1.9", "kernel 6.1.9")],
)
def test_a_version_pattern_takes_the_newest_that_matches(tmp_path: Path, pattern: str, expected: str) -> None:
    kernels = Listed(listed("kernel 6.1.9", "kernel 6.1.20", "kernel 6.12.1"))
    assert solved(tmp_path, PackageQuery(("kernel",), versions=(("kernel", pattern),)), kernels) == [expected]


def test_a_version_asked_for_pulls_the_rest_along(tmp_path: Path) -> None:
    lines = [f"{name} {version}" for version in (1, 2) for name in ("client",)]
    lines += [f"server {version}; Depends: client (= {version})" for version in (1, 2)]
    assert found(tmp_path, "client=1 server", *lines) == ["client 1", "server 1"]


def test_a_package_held_back_by_others_is_told(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, Listed(listed("a; Depends: lib (<< 2), b", "lib 1", "lib 2", "b 1", "b 2")))
    solution = solve(pool, PackageQuery(("a", "b=1")))
    assert [(pool.version(taken), pool.version(better)) for taken, better in solution.held_back] == [("1", "2")]


def test_a_version_with_pattern_signs_means_itself(tmp_path: Path) -> None:
    with pytest.raises(SolverError) as caught:
        found(tmp_path, "a=1*", "a 1.0")
    assert caught.value.code == "SOLVE_VERSION_UNAVAILABLE"


def test_what_was_asked_for_is_told_from_what_came_along(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, Listed(listed("a; Depends: b", "b", "e; Essential: yes")))
    assert solve(pool, PackageQuery(("a",))).requested == {"a"}
