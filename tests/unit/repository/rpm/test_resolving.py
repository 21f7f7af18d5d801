"""What is chosen from rpm repositories, and what is said when nothing can be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from image_composer.errors import SolverError
from image_composer.repository.query import PackageQuery
from support.rpmrepo import Resolver, RpmRepository, repositories_of, resolved

CHOICES = {
    "either of two": ("a", ["a; Requires: (b or c)", "c"], "a c"),
    "both of two": ("a", ["a; Requires: (b and c)", "b", "c"], "a b c"),
    "a condition that does not hold": ("a", ["a; Requires: (b if d)", "b", "d"], "a"),
    "a condition that holds": ("a d", ["a; Requires: (b if d)", "b", "d"], "a b d"),
    "a condition with another way": ("a", ["a; Requires: (b if d else c)", "b", "c", "d"], "a c"),
    "two things of one package": ("a", ["a; Requires: (b with x)", "b", "c; Provides: b, x"], "a c"),
    "a thing without another": ("a", ["a; Requires: (b without x)", "b; Provides: x", "c; Provides: b"], "a c"),
    "something unless": ("a", ["a; Requires: (b unless d)", "b", "d"], "a b"),
    "rich ones inside each other": ("a", ["a; Requires: ((b and c) or d)", "b", "d; Conflicts: a", "c"], "a b c"),
    "a provided version": ("a", ["a; Requires: v >= 2", "b; Provides: v = 1", "c; Provides: v = 2"], "a c"),
    "an epoch": ("a", ["a; Requires: v >= 1:2", "b 9; Provides: v = 3", "c; Provides: v = 1:2"], "a c"),
    "a requirement without release": ("a", ["a; Requires: b = 2", "b 2-7", "b 3-1"], "a b"),
    "a library": (
        "a",
        ["a; Requires: libc.so.6(GLIBC_2.4)(64bit)", "glibc; Provides: libc.so.6(GLIBC_2.4)(64bit)"],
        "a glibc",
    ),
    "what rpm itself can do": ("a", ["a; Requires: rpmlib(CompressedFileNames) <= 3.0.4-1"], "a"),
    "a program": ("a", ["a; Requires(pre): /bin/sh", "bash; Files: /bin/sh"], "a bash"),
    "a file that only filelists has": ("a", ["a; Requires: /usr/share/x", "x; Files: /usr/share/x"], "a x"),
    "such a file in a rich dependency": (
        "a",
        ["a; Requires: (nothing or /usr/share/x)", "x; Files: /usr/share/x"],
        "a x",
    ),
    "such a file three steps on": (
        "a",
        ["a; Requires: b", "b; Requires: c", "c; Requires: /usr/lib/x", "x; Files: /usr/lib/x"],
        "a b c x",
    ),
    "what others recommend, not": ("a", ["a; Recommends: b", "b", "c; Supplements: a"], "a"),
    "a package for all architectures": ("a", ["a; Requires: b", "b; Arch: noarch"], "a b"),
    "none for another architecture": ("a", ["a; Requires: b", "b 1", "b 2; Arch: i686", "b 3; Arch: aarch64"], "a b"),
    "no source": ("a", ["a 1", "a 2; Arch: src"], "a"),
}


@pytest.mark.parametrize("case", CHOICES)
def test_a_request_is_met_by(tmp_path: Path, case: str) -> None:
    names, lines, expected = CHOICES[case]
    assert [chosen.split(" ")[0] for chosen in resolved(tmp_path, names, *lines)] == expected.split()


@pytest.mark.parametrize(
    ("versions", "newest"),
    [
        ("1~rc1-1 1-1", "1-1"),
        ("1-1 1^git3-1", "1^git3-1"),
        ("1^git3-1 1.0.1-1", "1.0.1-1"),
        ("1-9.azl3 1-10.azl3", "1-10.azl3"),
        ("9-1 1:1-1", "1:1-1"),
        ("2.0a-1 2.0-1", "2.0a-1"),
    ],
)
def test_the_newest_version_is_taken_as_rpm_compares_them(tmp_path: Path, versions: str, newest: str) -> None:
    lines = [f"a {version}" for version in versions.split()]
    assert resolved(tmp_path, "a", *lines) == [f"a {newest}"]
    assert resolved(tmp_path, "a", *reversed(lines)) == [f"a {newest}"]


def test_weak_dependencies_come_when_they_are_wanted_and_can(tmp_path: Path) -> None:
    query = PackageQuery(("a",), install_recommends=True)
    lines = ["a; Recommends: b, gone, foe", "b", "foe; Conflicts: a", "c; Supplements: (a and b)", "d; Supplements: x"]
    assert resolved(tmp_path, query, *lines) == ["a 1-1", "b 1-1", "c 1-1"]


def test_what_supplements_may_need_a_file_that_only_filelists_has(tmp_path: Path) -> None:
    query = PackageQuery(("a",), install_recommends=True)
    lines = ["a", "c; Supplements: a; Requires: /usr/share/x", "x; Files: /usr/share/x"]
    assert resolved(tmp_path, query, *lines) == ["a 1-1", "c 1-1", "x 1-1"]


EDGE = "edge-release 3.0-9; Provides: azurelinux-release = 3.0-9; Obsoletes: azurelinux-release"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("azurelinux-release", "edge-release 3.0-9"),
        ("azurelinux-release=3.0-1", "azurelinux-release 3.0-1"),
        ("azurelinux-release edge-release", "edge-release 3.0-9"),
        ("tool", "edge-release 3.0-9"),
    ],
)
def test_an_obsolete_package_gives_way_unless_its_version_is_asked_for(
    tmp_path: Path, query: str, expected: str
) -> None:
    lines = ["azurelinux-release 3.0-1", EDGE, "tool; Requires: azurelinux-release"]
    found = resolved(tmp_path, query, *lines)
    assert [chosen for chosen in found if "release" in chosen] == [expected]


def test_a_package_that_takes_anothers_place_counts_as_requested(tmp_path: Path) -> None:
    lines = ["azurelinux-release 3.0-1", EDGE, "tool; Requires: azurelinux-release"]
    lock = Resolver(tmp_path)("azurelinux-release tool", *repositories_of(lines))
    assert {package.name: package.requested for package in lock.packages} == {"edge-release": True, "tool": True}


@pytest.mark.parametrize(
    "line",
    ["new; Obsoletes: old < 2", "new; Obsoletes: oldest", "new; Provides: old = 9", "old 1-1; Obsoletes: old < 9"],
)
def test_a_package_that_is_not_obsolete_stays(tmp_path: Path, line: str) -> None:
    assert resolved(tmp_path, "old", "old 2-1; Provides: oldest", line) == ["old 2-1"]


def test_an_excluded_package_takes_nobodys_place(tmp_path: Path) -> None:
    query = PackageQuery(("azurelinux-release",), exclude=("edge-release",))
    assert resolved(tmp_path, query, "azurelinux-release 3.0-1", EDGE) == ["azurelinux-release 3.0-1"]


def test_a_repository_of_lower_priority_does_not_replace_packages_of_a_higher_one(tmp_path: Path) -> None:
    high, low = RpmRepository(["azurelinux-release 3.0-1"], "high", 900), RpmRepository([EDGE], "low", 100)
    assert resolved(tmp_path, "azurelinux-release", high, low) == ["azurelinux-release 3.0-1"]


def test_a_higher_priority_wins_whatever_the_version(tmp_path: Path) -> None:
    high, low = RpmRepository(["b 1"], "high", 900), RpmRepository(["a; Requires: b", "b 2"], "low", 100)
    assert resolved(tmp_path, "a", low, high) == ["a 1-1", "b 1-1"]
    assert resolved(tmp_path, "a b=2-1", low, high) == ["a 1-1", "b 2-1"]


def test_a_package_for_another_architecture_outranks_nothing(tmp_path: Path) -> None:
    high, low = RpmRepository(["b 3; Arch: i686"], "high", 900), RpmRepository(["b 2"], "low", 100)
    assert resolved(tmp_path, "b", high, low) == ["b 2-1"]


def test_of_equal_packages_the_first_repositorys_is_taken(tmp_path: Path) -> None:
    for order in (("one", "two"), ("two", "one")):
        repositories = [RpmRepository(["a; Requires: b", "b"], name) for name in order]
        lock = Resolver(tmp_path)("a", *repositories)
        assert {package.repository for package in lock.packages} == {order[0]}


def test_a_version_pattern_takes_the_newest_that_matches(tmp_path: Path) -> None:
    query = PackageQuery(("kernel",), versions=(("kernel", "6.6.*"),))
    assert resolved(tmp_path, query, "kernel 6.6.9-1", "kernel 6.6.51-1", "kernel 6.12.1-1") == ["kernel 6.6.51-1"]


@pytest.mark.parametrize("version", ["1:2-3", "2-3", "1:2", "2"])
def test_a_version_may_be_given_without_epoch_and_release(tmp_path: Path, version: str) -> None:
    assert resolved(tmp_path, f"a={version}", "a 1:2-3", "a 1:20-3", "a 3-1") == ["a 1:2-3"]


def test_packages_of_modules_are_left_alone(tmp_path: Path) -> None:
    lines = ["nginx 1.24-1.module+el9", "nginx 1.20-1.el9", "a-module 1-1"]
    assert resolved(tmp_path, "nginx a-module", RpmRepository(lines, modular=True)) == [
        "a-module 1-1",
        "nginx 1.20-1.el9",
    ]
    assert resolved(tmp_path, "nginx", RpmRepository(lines)) == ["nginx 1.24-1.module+el9"]


def test_a_package_held_back_by_others_is_warned_about(tmp_path: Path) -> None:
    resolver = Resolver(tmp_path)
    resolver("a", RpmRepository(["a; Requires: lib < 2", "lib 1-1", "lib 2-1"]))
    assert resolver.events.messages("warning") == [
        "lib 1-1 is taken, not 2-1: other packages asked for don't fit that one"
    ]


def test_filelists_are_not_looked_at_when_nobody_needs_them(tmp_path: Path) -> None:
    lines = ["a; Requires: b, /usr/bin/b", "b; Files: /usr/bin/b", "other; Requires: /usr/share/x"]
    broken = RpmRepository(lines, swap=lambda kind, packed: b"" if kind == "filelists" else packed)
    assert resolved(tmp_path, "a", broken) == ["a 1-1", "b 1-1"]


def told(folder: Path, query: PackageQuery | str, *lines: str | RpmRepository) -> tuple[str, list[str]]:
    """Give the error's code and the lines of its message below the first."""
    with pytest.raises(SolverError) as caught:
        resolved(folder, query, *lines)
    assert caught.value.hint
    return caught.value.code, sorted(line.strip() for line in caught.value.message.splitlines()[1:])


WITHOUT_B = PackageQuery(("a",), exclude=("b",))

FAILURES: dict[str, tuple[PackageQuery | str, Sequence[str | RpmRepository], tuple[str, list[str]]]] = {
    "a misspelt name": (
        "openssh-servr",
        ["openssh-server"],
        ("SOLVE_UNKNOWN_PACKAGE", ["openssh-servr: did you mean openssh-server?"]),
    ),
    "a virtual name": (
        "mta",
        ["postfix; Provides: mta", "exim; Provides: mta"],
        ("SOLVE_UNKNOWN_PACKAGE", ["mta: a virtual package, provided by exim, postfix; ask for one of them"]),
    ),
    "another architecture's": (
        "a",
        ["a; Arch: i686"],
        ("SOLVE_UNKNOWN_PACKAGE", ["a: repository main has it for i686 only"]),
    ),
    "a version that is not there": (
        "a=2-1",
        ["a 1-1", "a 3-1"],
        ("SOLVE_VERSION_UNAVAILABLE", ["a 2-1: there is 3-1, 1-1"]),
    ),
    "a missing need": (
        "a",
        ["a; Requires: b", "b; Requires: perl(Foo::Bar) >= 2", "c; Provides: perl(Foo::Bar) = 1"],
        ("SOLVE_UNSATISFIABLE",
         ["a 1-1 (requested) needs b, which needs perl(Foo::Bar) >= 2, which no repository has"]),
    ),
    "an older version": (
        "a",
        ["a; Requires: b >= 1:2", "b 1:1-4"],
        ("SOLVE_UNSATISFIABLE", ["a 1-1 (requested) needs b >= 1:2, which no repository has; there is 1:1-4"]),
    ),
    "a missing file": (
        "a",
        ["a; Requires: /usr/share/x"],
        ("SOLVE_UNSATISFIABLE", ["a 1-1 (requested) needs /usr/share/x, which no repository has"]),
    ),
    "neither of two": (
        "a",
        ["a; Requires: (b or c)", "b; Requires: x", "c; Requires: y"],
        (
            "SOLVE_UNSATISFIABLE",
            [
                "a 1-1 (requested) needs (b or c) (taking b), which needs x, which no repository has",
                "a 1-1 (requested) needs (b or c) (taking c), which needs y, which no repository has",
            ],
        ),
    ),
    "a condition that nothing meets": (
        "a d",
        ["a; Requires: (b if d)", "d"],
        ("SOLVE_CONFLICT", ["a 1-1 (requested) needs (b if d), which can't be met beside d 1-1 (requested)"]),
    ),
    "what must not be there": (
        "a x",
        ["a; Requires: (b unless d)", "b", "x; Requires: d", "d"],
        ("SOLVE_CONFLICT",
         ["a 1-1 (requested) needs (b unless d), which can't be met beside d 1-1; x 1-1 (requested) needs d"]),
    ),
    "an excluded package": (
        WITHOUT_B,
        ["a; Requires: b >= 1", "b"],
        ("SOLVE_EXCLUDED", ["a 1-1 (requested) needs b >= 1, but b is excluded"]),
    ),
    "an excluded package's program": (
        WITHOUT_B,
        ["a; Requires: /usr/bin/b", "b; Files: /usr/bin/b"],
        ("SOLVE_EXCLUDED", ["a 1-1 (requested) needs /usr/bin/b, but b is excluded"]),
    ),
    "an excluded package's other file": (
        WITHOUT_B,
        ["a; Requires: /usr/share/b", "b; Files: /usr/share/b"],
        ("SOLVE_EXCLUDED", ["a 1-1 (requested) needs /usr/share/b, but b is excluded"]),
    ),
    "a conflict": (
        "a c",
        ["a; Requires: b", "b; Conflicts: c < 2", "c"],
        ("SOLVE_CONFLICT", ["a 1-1 (requested) needs b; b 1-1 conflicts with c 1-1 (requested)"]),
    ),
    "a conflict with two at once": (
        "a c",
        ["a; Requires: b", "b; Conflicts: (a and c)", "c"],
        ("SOLVE_CONFLICT", ["a 1-1 (requested) needs b; b 1-1 conflicts with (a and c)"]),
    ),
    "an obsolete package that is needed": (
        "new a",
        ["a; Requires: old", "old", "new; Obsoletes: old"],
        ("SOLVE_CONFLICT", ["a 1-1 (requested) needs old; new 1-1 (requested) obsoletes old 1-1"]),
    ),
    "two versions": (
        "a b",
        ["a; Requires: lib = 1", "b; Requires: lib = 2", "lib 1-1", "lib 2-1"],
        (
            "SOLVE_CONFLICT",
            ["a 1-1 (requested) needs lib = 1; b 1-1 (requested) needs lib = 2; "
             "lib can't be there in two versions, 1-1 and 2-1"],
        ),
    ),
    "a package of a module": (
        "a",
        [RpmRepository(["a; Requires: b", "b 1-1.module+el9"], modular=True)],
        ("SOLVE_UNSATISFIABLE",
         ["a 1-1 (requested) needs b; b 1-1.module+el9 of repository main would do, "
          "but it is part of a module, and modules can't be chosen"]),
    ),
    "a request for one": (
        "b",
        [RpmRepository(["b 1-1.module+el9"], modular=True)],
        ("SOLVE_UNKNOWN_PACKAGE", ["b: repository main has it as part of a module, and modules can't be chosen"]),
    ),
    "a package of another architecture that would do": (
        "a",
        ["a; Requires: b", "b; Arch: i686"],
        ("SOLVE_UNSATISFIABLE",
         ["a 1-1 (requested) needs b; b 1-1 of repository main would do, but it is for another architecture"]),
    ),
    "a version hidden by a priority": (
        "a",
        [RpmRepository(["a; Requires: b >= 2", "b 1"], "high", 900), RpmRepository(["b 2"], "low")],
        ("SOLVE_UNSATISFIABLE",
         ["a 1-1 (requested) needs b >= 2; b 2-1 of repository low would do, "
          "but another repository, of higher priority, has that package too"]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_request_fails_in_words_for(tmp_path: Path, case: str) -> None:
    query, lines, expected = FAILURES[case]
    assert told(tmp_path, query, *lines) == expected


def test_the_lock_says_what_each_package_stands_on(tmp_path: Path) -> None:
    lines = [
        "tool 1:2-3; Requires: lib >= 1, (fast or slow), (extra if lib); Requires(pre): /bin/sh",
        "lib; Requires: tool",
        "slow; Arch: noarch",
        "extra",
        "bash; Files: /bin/sh",
    ]
    lock = Resolver(tmp_path)("tool", *repositories_of(lines))
    tool = lock.packages[-1]
    assert (tool.version, tool.depends, tool.pre_depends) == ("1:2-3", ["bash", "extra", "lib", "slow"], ["bash"])
    assert [package.name for package in lock.packages if package.requested] == ["tool"]
    assert tool.url == f"{(tmp_path / 'main').as_uri()}/Packages/tool-2-3.x86_64.rpm"
    assert lock.packages[1].architecture == "x86_64"
    assert lock.packages[3].architecture == "noarch"
