"""Installing deb packages: what is decided before anything is done."""

from __future__ import annotations

import base64
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.errors import AssemblyError
from image_composer.repository.lock import LockedPackage
from image_composer.root.install_deb import package_failure, skeleton
from image_composer.root.install_order import balanced, batches, bootstrap, installation_order, installation_rounds
from image_composer.run import Completed


def package(name: str, *depends: str, essential: bool = False, installed_size: int = 1) -> LockedPackage:
    return LockedPackage(
        name=name,
        version="1",
        architecture="amd64",
        url=f"https://example.org/{name}.deb",
        sha256="0" * 64,
        size=1,
        installed_size=installed_size,
        repository="main",
        source=name,
        source_version="1",
        essential=essential,
        depends=list(depends),
    )


def order(*packages: LockedPackage) -> list[str]:
    return [package.name for package in installation_order(packages)]


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        ((), []),
        ((package("b"), package("a")), ["a", "b"]),
        ((package("a", "b"), package("b", "c"), package("c")), ["c", "b", "a"]),
        ((package("a", "c", "b"), package("b"), package("c", "b")), ["b", "c", "a"]),
        ((package("a", "b"), package("b", "a")), ["b", "a"]),
        ((package("a", "a"),), ["a"]),
        ((package("x", "a"), package("a", "b"), package("b", "c"), package("c", "a")), ["c", "b", "a", "x"]),
    ],
)
def test_packages_come_after_what_they_depend_on(packages: tuple[LockedPackage, ...], expected: list[str]) -> None:
    assert order(*packages) == expected


NAMES = "abcdefgh"


@given(st.lists(st.lists(st.sampled_from(NAMES), max_size=4), min_size=len(NAMES), max_size=len(NAMES)), st.randoms())
def test_the_order_holds_everything_once_and_does_not_depend_on_the_lock_s(
    depends: list[list[str]], random: Random
) -> None:
    packages = [package(name, *others) for name, others in zip(NAMES, depends, strict=True)]
    found = order(*packages)
    assert sorted(found) == list(NAMES)
    random.shuffle(packages)
    assert order(*packages) == found


@given(st.lists(st.sets(st.integers(0, 7)), min_size=8, max_size=8))
def test_without_circles_the_order_is_kept_without_exception(depends: list[set[int]]) -> None:
    packages = [
        package(name, *(NAMES[other] for other in others if other < number))
        for number, (name, others) in enumerate(zip(NAMES, depends, strict=True))
    ]
    found = order(*packages)
    assert all(found.index(other) < found.index(one.name) for one in packages for other in one.depends)


def test_deep_chains_need_no_deep_stack() -> None:
    chain = [package(f"p{number:05}", f"p{number + 1:05}") for number in range(3000)] + [package("p03000")]
    assert order(*chain)[0] == "p03000"


def test_the_bootstrap_is_the_essential_packages_with_all_they_need() -> None:
    packages = [
        package("dpkg", "libc", essential=True),
        package("libc", "gcc-base"),
        package("gcc-base", "libc"),
        package("curl", "libc"),
    ]
    assert bootstrap(packages) == {"dpkg", "libc", "gcc-base"}
    assert bootstrap([package("curl")]) == frozenset()


@pytest.mark.parametrize(("workers", "shares"), [(1, 1), (2, 2), (8, 5)])
def test_work_is_shared_evenly_and_nobody_is_idle(workers: int, shares: int) -> None:
    packages = [package(name, installed_size=size) for name, size in zip("abcde", (100, 60, 50, 30, 20), strict=True)]
    found = balanced(packages, workers)
    assert len(found) == shares
    assert sorted(one.name for share in found for one in share) == list("abcde")
    if workers == 2:
        assert sorted(sum(one.installed_size for one in share) for share in found) == [130, 130]


def test_nothing_to_share_is_one_empty_share() -> None:
    assert balanced([], 4) == [[]]


def test_batches_keep_the_order() -> None:
    packages = [package(name) for name in "abcde"]
    assert [[one.name for one in batch] for batch in batches(packages, 2)] == [["a", "b"], ["c", "d"], ["e"]]
    assert batches([], 2) == []


def test_the_skeleton_has_a_merged_usr_and_an_empty_database() -> None:
    operations = skeleton()
    links = {operation["path"]: operation["target"] for operation in operations if operation["kind"] == "link"}
    assert links["/bin"] == "usr/bin"
    written = {op["path"]: base64.b64decode(op["content"]) for op in operations if op["kind"] == "write"}
    assert written["/var/lib/dpkg/status"] == b""
    made = [operation["path"] for operation in operations]
    assert all(made.index(f"/usr{path}") < made.index(path) for path in links)


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        (
            b"Setting up a (1) ...\nfailed here\ndpkg: error processing package a (--configure):\n"
            b" installed a package post-installation script subprocess returned error exit status 3\n"
            b"dpkg: error processing package b:amd64 (--configure):\n dependency problems\n",
            "ASSEMBLE_PACKAGE_FAILED",
            "installing a, b:amd64 failed",
        ),
        (
            b"dpkg: error processing archive /run/image-composer/packages/a_1.deb (--unpack):\n corrupted\n",
            "ASSEMBLE_PACKAGE_FAILED",
            "installing a failed",
        ),
        (b"dpkg: error: no\n", "ASSEMBLE_PACKAGE_FAILED", "dpkg failed with status 2"),
        (b"dpkg: error processing (--)\n", "ASSEMBLE_PACKAGE_FAILED", "dpkg failed with status 2"),
        (b"cp: error writing 'x': No space left on device\n", "TOOL_DISK_FULL", "the disk is full"),
    ],
)
def test_dpkg_s_failure_names_the_packages_and_shows_what_they_said(said: bytes, code: str, message: str) -> None:
    error = package_failure(Completed(2, said, b""))
    assert error.code == code
    assert error.message.startswith(message)
    assert said.decode().strip().splitlines()[-1] in error.message
    assert not isinstance(error, AssemblyError) or error.hint


CORE = package("core", essential=True)
TOOL = package("tool", "core")
LIBRARY = package("library", "core")
BOTH = ["library", "late"]
CIRCLE = (package("x", "y"), package("y", "x"))


def early(one: LockedPackage, *names: str) -> LockedPackage:
    return one.model_copy(update={"depends": list(names), "pre_depends": list(names)})


@pytest.mark.parametrize(
    ("packages", "scripts", "expected"),
    [
        # nobody can tell: no script runs before unpacking, or there is nothing to configure
        ((early(package("late"), "tool"), TOOL), {"tool": ["postinst"]}, [(["core"], []), (["tool", "late"], [])]),
        (
            (early(package("late"), "library"), LIBRARY),
            {"late": ["preinst"]},
            [(["core"], []), (["library", "late"], [])],
        ),
        # the script may run what the other package configures
        (
            (early(package("late"), "tool"), TOOL),
            {"late": ["preinst"], "tool": ["postinst"]},
            [(["core"], []), (["tool"], []), (["late"], ["core", "tool"])],
        ),
        # what has been configured is not configured again
        (
            (early(package("later"), "late"), early(package("late"), "tool"), TOOL),
            {"later": ["preinst"], "late": ["preinst", "postinst"], "tool": ["postinst"]},
            [(["core"], []), (["tool"], []), (["late"], ["core", "tool"]), (["later"], ["late"])],
        ),
        # packages that need each other first come together
        (
            tuple(early(one, *one.depends) for one in CIRCLE),
            {"x": ["preinst", "postinst"], "y": ["preinst", "postinst"]},
            [(["core"], []), (["y", "x"], ["core"])],
        ),
    ],
)
def test_a_package_waits_for_what_its_first_script_may_need(
    packages: tuple[LockedPackage, ...], scripts: dict[str, list[str]], expected: list[tuple[list[str], list[str]]]
) -> None:
    everything = [CORE, *packages]
    rounds = installation_rounds(everything, {one.name: scripts.get(one.name, []) for one in everything})
    assert [([one.name for one in part.packages], part.configured_before) for part in rounds] == expected
