"""Programs of another architecture: what is decided, what the kernel says, and a real one in a real sandbox."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from image_composer.errors import SandboxError
from image_composer.manifest import RpmFacts
from image_composer.root import operations
from image_composer.root.foreign import (
    ENDS_WELL,
    Handler,
    Machine,
    Way,
    kernel_version,
    own_handler,
    parse_handler,
    read_handlers,
    runs_here,
    smallest_program,
    this_machine,
    way_to_run,
)
from image_composer.root.install_rpm import ENVIRONMENT, transaction
from image_composer.root.sandbox import PACKAGES, Sandbox
from image_composer.spec.image import Architecture
from image_composer.steps.architecture import able_sandbox
from support.foreign import FOREIGN, foreign_emulator
from support.rpmbuild import Rpm, make_rpm
from support.sandboxes import install_programs, sandbox

X86_64, AARCH64 = Architecture.X86_64, Architecture.AARCH64

LISTED = """enabled
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: POF
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
"""
"""As Linux 6.18 shows what Debian's package registers."""


def listed(text: str = LISTED) -> Handler:
    found = parse_handler("qemu-aarch64", text)
    assert found is not None
    return found


NO_EMULATOR = Machine("x86_64", (6, 18), [], lambda _: False, lambda _: None)
EMULATOR = replace(NO_EMULATOR, emulator=lambda _: Path("/usr/bin/qemu-aarch64-static"))
HIDDEN = replace(NO_EMULATOR, handlers=None)


@pytest.mark.parametrize(
    ("machine", "way"),
    [
        (replace(NO_EMULATOR, name="aarch64"), Way.NATIVE),
        (replace(NO_EMULATOR, handlers=[listed()]), Way.HANDLER),
        (replace(EMULATOR, handlers=[listed()]), Way.HANDLER),
        (replace(HIDDEN, runs=lambda _: True), Way.HANDLER),
        (EMULATOR, Way.OWN_HANDLER),
        (replace(EMULATOR, kernel=(6, 7)), Way.OWN_HANDLER),
        (replace(EMULATOR, handlers=None), Way.OWN_HANDLER),
        (replace(EMULATOR, handlers=[listed(LISTED.replace("POF", "PO"))]), Way.OWN_HANDLER),
    ],
)
def test_the_machines_own_way_comes_before_that_of_the_sandbox(machine: Machine, way: Way) -> None:
    answer = way_to_run(AARCH64, machine)
    assert answer.way is way
    assert (answer.emulator is not None) == (way is Way.OWN_HANDLER)


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (NO_EMULATOR, "nothing that runs programs of aarch64, and there is no qemu-aarch64-static"),
        (HIDDEN, "nothing that runs programs of aarch64, and there is no qemu-aarch64-static"),
        (replace(EMULATOR, kernel=(6, 6)), "only Linux 6.7 and later would let the sandbox use /usr/bin/qemu-aarch64"),
        (replace(NO_EMULATOR, handlers=[listed(LISTED.replace("enabled", "disabled"))]), "qemu-aarch64 is disabled"),
        (replace(NO_EMULATOR, handlers=[listed(LISTED.replace("POF", "PO"))]), "it has no flag F"),
        (replace(NO_EMULATOR, handlers=[listed(LISTED.replace("b700", "3e00"))]), "nothing that runs programs"),
    ],
)
def test_where_programs_do_not_run_the_reason_is_told(machine: Machine, reason: str) -> None:
    answer = way_to_run(AARCH64, machine)
    assert answer.way is None
    assert reason in answer.reason


def test_the_kernels_list_is_read(tmp_path: Path) -> None:
    for name, text in {"qemu-aarch64": LISTED, "jar": "enabled\ninterpreter /j\nflags: \nextension .jar\n"}.items():
        (tmp_path / name).write_text(text)
    assert read_handlers(tmp_path) is None
    (tmp_path / "status").write_text("enabled\n")
    assert read_handlers(tmp_path) == [listed()]
    (tmp_path / "status").write_text("disabled\n")
    assert read_handlers(tmp_path) == []
    assert read_handlers(tmp_path / "absent") is None


@pytest.mark.parametrize("line", ["magic 7f4", "mask ff", "offset x"])
def test_a_line_of_the_list_that_makes_no_sense_is_no_handler(line: str) -> None:
    lines = [line if line.split(maxsplit=1)[0] == old.split()[0] else old for old in LISTED.splitlines()]
    assert parse_handler("odd", "\n".join(lines)) is None


def test_a_handler_is_told_of_as_the_distributions_package_does() -> None:
    kind, name, how, offset, magic, mask, interpreter, flags = own_handler(AARCH64, Path("/q")).split(":")
    assert (kind, name, how, offset, interpreter, flags) == ("", "qemu-aarch64-static", "M", "0", "/q", "POF")
    assert magic.replace("\\x", "") == listed().magic.hex()
    assert mask.replace("\\x", "") == listed().mask.hex()


def test_a_handler_takes_programs_of_its_architecture_only() -> None:
    program = smallest_program(AARCH64)
    assert listed().takes(program)
    assert listed().takes(program[:7] + b"\x03" + program[8:16] + b"\x03" + program[17:])  # another ABI, a PIE
    assert not listed().takes(smallest_program(X86_64))
    assert not listed().takes(program[:12])


@pytest.mark.parametrize(("release", "version"), [("6.18.44-x", (6, 18)), ("6.1", (6, 1)), ("x", (0, 0))])
def test_a_kernels_release_gives_its_version(release: str, version: tuple[int, int]) -> None:
    assert kernel_version(release) == version


def test_this_machine_runs_its_own_programs() -> None:
    assert runs_here(Architecture(this_machine().name))


@pytest.fixture
def box(tmp_path: Path) -> Sandbox:
    return sandbox(tmp_path)


def program_ends_with(box: Sandbox, architecture: Architecture) -> int:
    program = operations.write("/program", smallest_program(architecture), mode=0o755)
    box.act("apply", operations=[program])
    return box.run(["/program"], check=False).returncode


def test_a_foreign_program_runs_in_the_sandbox_and_the_machine_learns_nothing_of_it(box: Sandbox) -> None:
    emulator = foreign_emulator()
    before, ran = read_handlers(), runs_here(FOREIGN)
    able = replace(box, handler=own_handler(FOREIGN, emulator))
    assert program_ends_with(able, FOREIGN) == ENDS_WELL
    assert (read_handlers(), runs_here(FOREIGN)) == (before, ran)
    assert ran or program_ends_with(box, FOREIGN) != ENDS_WELL


def test_what_a_machine_says_it_can_is_tried_in_a_root_before_packages_are_unpacked(box: Sandbox) -> None:
    machine = this_machine()
    foreign_emulator()
    able = able_sandbox(box, FOREIGN, machine)
    assert program_ends_with(able, FOREIGN) == ENDS_WELL
    assert [path.name for path in box.workspace.iterdir() if path.name.startswith("foreign-")] == []


def test_a_machine_that_says_more_than_it_can_is_found_out(box: Sandbox) -> None:
    if runs_here(FOREIGN):
        pytest.skip(f"this machine runs programs of {FOREIGN} by itself")
    boasting = replace(this_machine(), handlers=None, runs=lambda _: True)
    with pytest.raises(SandboxError, match="don't run in the sandbox of this machine") as caught:
        able_sandbox(box, FOREIGN, boasting)
    assert caught.value.code == "SANDBOX_FOREIGN"


def test_this_machines_rpm_installs_packages_of_another_architecture_whose_scripts_run(box: Sandbox) -> None:
    able = replace(box, handler=own_handler(FOREIGN, foreign_emulator()))
    alien = Rpm(
        "alien",
        architecture=str(FOREIGN),
        files={"usr/bin/alien": smallest_program(FOREIGN)},
        executable=frozenset({"usr/bin/alien"}),
        scripts={"post -p /usr/bin/alien": ""},
    )
    made = make_rpm(alien, box.workspace / "packages")
    done = able.lend(transaction([f"{PACKAGES}/{made.name}"], RpmFacts()), env=ENVIRONMENT)
    assert f"%post(alien-1.0-1.{FOREIGN}) scriptlet failed, exit status {ENDS_WELL}" in done.stderr.decode()
    assert done.returncode == 0


def test_programs_of_the_sandbox_can_not_tell_the_kernel_of_more(box: Sandbox) -> None:
    install_programs(box)
    able = replace(box, handler=own_handler(FOREIGN, foreign_emulator()))
    line = "echo :x:M::xx::/bin/sh: >"
    for place in ("/proc/sys/fs/binfmt_misc/register", "/proc/1/fd/*/register"):
        assert able.run(["sh", "-c", f"{line}{place}"], check=False).returncode != 0
    assert b"Permission denied" in able.run(["ls", "/proc/1/fd/"], check=False).stderr
