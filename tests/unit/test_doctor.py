"""The checks of `image-composer doctor`: real tools and namespaces, machines made of folders where something lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from image_composer.doctor import (
    CACHE_BYTES,
    WORKSPACE_BYTES,
    Check,
    Host,
    can_build,
    check_ids,
    check_namespaces,
    check_requirement,
    check_solver,
    check_space,
    checks,
    free_bytes,
    render,
    this_host,
)
from image_composer.requirements import REQUIREMENTS, Need, Requirement
from image_composer.root.foreign import Machine
from image_composer.run import Completed, Runner

SETUP = Path(__file__).parents[2] / "builder" / "setup" / "host-packages.txt"
NO_IDS = dict.fromkeys(("/etc/passwd", "/etc/subuid", "/etc/subgid", "/proc/self/uid_map", "/proc/self/gid_map"), "")
SUBORDINATE = NO_IDS | {"/etc/subuid": "ann:100000:65536\n", "/etc/subgid": "ann:200000:65536\n"}


@dataclass(frozen=True)
class Behind:
    """Runs programs behind another command, which sets their world up."""

    prefix: Sequence[str]
    runner: Runner = field(default_factory=Runner)

    def run(self, argv: Sequence[str | Path], *, timeout: float | None = None) -> Completed:
        return self.runner.run([*self.prefix, *argv], timeout=timeout)


class Pool:
    """The solver's pool as the wheel on the package index has it: it knows rpm versions only."""

    DISTTYPE_DEB = 1

    def setdisttype(self, kind: int) -> int:
        return -1


class Folder:
    """A machine that consists of a folder, with nothing in it but what a test puts there."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def host(self, *, uid: int = 1000, free: int = WORKSPACE_BYTES) -> Host:
        return Host(
            prober=Runner(),
            cache=self.root / "cache",
            workspace=self.root / "workspace",
            uid=uid,
            gid=uid,
            user="ann",
            id_files=SUBORDINATE,
            solver=None,
            machine=Machine("x86_64", (6, 1), [], lambda _: False, lambda _: None),
            free_bytes=lambda _: free,
            path=str(self.root / "bin"),
            root=self.root,
        )

    def add(self, path: str, mode: int = 0o644) -> Path:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode)
        return file


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def by_subject(found: Sequence[Check]) -> dict[str, Check]:
    return {check.subject: check for check in found}


def test_setting_up_installs_exactly_what_the_doctor_asks_for() -> None:
    lines = [line.split() for line in SETUP.read_text().splitlines() if line and not line.startswith("#")]
    groups = {need.value for need in Need}
    installed = {(group, package, program) for group, package, program, *_ in lines if group in groups}
    asked = {(item.need.value, item.packages.debian, "-" if item.places else item.name) for item in REQUIREMENTS}
    assert installed == asked


def test_this_machine_can_run_the_tests_it_is_running() -> None:
    found = by_subject(checks(this_host(Runner(), cache=Path("/"), workspace=Path("/"))))
    assert found["tar"].finding.endswith("/tar")
    assert found["solv"].ok


def test_a_program_is_found_on_the_path(folder: Folder) -> None:
    program = folder.add("bin/mke2fs", 0o755)
    assert by_subject(checks(folder.host()))["mke2fs"].finding == str(program)


def test_a_file_that_can_not_be_run_is_no_program(folder: Folder) -> None:
    folder.add("bin/mke2fs", 0o644)
    assert not by_subject(checks(folder.host()))["mke2fs"].ok


@pytest.mark.parametrize("item", [item for item in REQUIREMENTS if item.places], ids=lambda item: str(item.name))
def test_any_of_its_places_will_do_for_a_file(item: Requirement, folder: Folder) -> None:
    assert not check_requirement(item, folder.host()).ok
    folder.add(item.places[-1])
    assert check_requirement(item, folder.host()).finding == item.places[-1]


def test_what_is_missing_is_named_with_its_reason_and_its_packages(folder: Folder) -> None:
    check = by_subject(checks(folder.host()))["sfdisk"]
    assert check.finding == "not found; writes partition tables"
    assert check.remedy == "install it: Debian fdisk, Fedora util-linux, Azure Linux util-linux"


def test_a_package_that_a_distribution_lacks_is_said_to_be_lacking(folder: Folder) -> None:
    remedy = by_subject(checks(folder.host()))["mmdebstrap"].remedy
    assert remedy == "install it: Debian mmdebstrap, Fedora (no package known), Azure Linux (no package known)"


@pytest.mark.parametrize(("uid", "asked"), [(0, False), (1000, True)])
def test_only_users_who_are_not_root_need_newuidmap(uid: int, asked: bool, folder: Folder) -> None:
    assert ("newuidmap" in by_subject(checks(folder.host(uid=uid)))) is asked


@pytest.mark.parametrize(
    ("module", "finding"),
    [
        (None, "the Python module solv can't be imported"),
        (SimpleNamespace(Repo=SimpleNamespace(), Pool=Pool), "this build of solv has no Debian support"),
        (
            SimpleNamespace(Repo=SimpleNamespace(add_debpackages=None), Pool=Pool),
            "this build of solv can't compare Debian versions",
        ),
    ],
)
def test_a_solver_that_does_not_know_debian_is_no_solver(module: ModuleType | None, finding: str) -> None:
    check = check_solver(module)
    assert (check.ok, check.finding) == (False, finding)


def test_namespaces_that_a_limit_forbids_are_reported_with_the_limits_name() -> None:
    # A user namespace has limits of its own, so this machine's stay as they are.
    forbid = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$0" "$@"'
    check = check_namespaces(Behind(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", forbid]))
    assert not check.ok
    assert check.finding == "can't be made: unshare: unshare failed: No space left on device"
    assert "user.max_*_namespaces" in str(check.remedy)


def test_namespaces_can_not_be_made_without_the_program_for_it() -> None:
    check = check_namespaces(Behind(["/proc/nonexistent/unshare"]))
    assert (check.ok, check.finding) == (False, "can't be made: /proc/nonexistent/unshare was not found")


def test_a_user_with_subordinate_ids_has_ids_for_an_image(folder: Folder) -> None:
    assert check_ids(folder.host()).finding == "a range from 100000 stands for those of an image"


def test_a_user_without_subordinate_ids_is_told_how_to_get_some(folder: Folder) -> None:
    check = check_ids(replace(folder.host(), id_files=NO_IDS))
    assert not check.ok
    assert "usermod --add-subuids" in str(check.remedy)


@pytest.mark.parametrize(
    ("free", "cache", "workspace"),
    [(WORKSPACE_BYTES, True, True), (WORKSPACE_BYTES - 1, True, False), (CACHE_BYTES - 1, False, False)],
)
def test_space_is_judged_by_what_a_build_takes(free: int, cache: bool, workspace: bool, folder: Folder) -> None:
    assert [check.ok for check in check_space(folder.host(free=free))] == [cache, workspace]


def test_free_space_of_a_folder_to_come_is_that_of_its_parent(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") > 0


def test_kvm_is_no_condition_for_composing(folder: Folder) -> None:
    kvm = by_subject(checks(folder.host()))["KVM"]
    assert (kvm.ok, kvm.need) == (False, Need.BOOT)
    folder.add("dev/kvm")
    assert by_subject(checks(folder.host()))["KVM"].ok


def test_other_architectures_are_no_condition_for_composing(folder: Folder) -> None:
    check = by_subject(checks(folder.host()))["programs of aarch64"]
    assert (check.ok, check.need) == (False, Need.FOREIGN)
    assert "there is no qemu-aarch64-static" in check.finding
    assert "qemu-user-static" in str(check.remedy)
    assert "programs of x86_64" not in by_subject(checks(folder.host()))


@pytest.mark.parametrize(("need", "verdict"), [(Need.BUILD, False), (Need.BOOT, True), (Need.TESTS, True)])
def test_only_what_composing_needs_decides_whether_images_can_be_composed(need: Need, verdict: bool) -> None:
    found = [Check("one", Need.BUILD, ok=True, finding=""), Check("two", need, ok=False, finding="")]
    assert can_build(found) is verdict


def test_the_text_groups_by_need_and_ends_with_the_verdict() -> None:
    found = [
        Check("sfdisk", Need.BUILD, ok=False, finding="not found; writes partition tables", remedy="install it"),
        Check("tar", Need.BUILD, ok=True, finding="/usr/bin/tar"),
        Check("KVM", Need.BOOT, ok=False, finding="there is no /dev/kvm", remedy="not needed"),
    ]
    assert (
        render(found)
        == """\
To compose images
  --  sfdisk  not found; writes partition tables
              install it
  ok  tar     /usr/bin/tar

To boot them in QEMU
  --  KVM     there is no /dev/kvm
              not needed

Images can't be composed here yet: sfdisk.
"""
    )
