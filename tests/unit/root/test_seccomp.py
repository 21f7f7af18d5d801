"""The system call filter, run by a small interpreter as the kernel runs it."""

from __future__ import annotations

import errno
import socket
import struct

import pytest

from image_composer.root import seccomp
from image_composer.root.seccomp import ALLOW, AUDIT_ARCHITECTURE, CLONE, CLONE3, ERRNO, SOCKET, filter_program

MACHINES = sorted(AUDIT_ARCHITECTURE)
READ = {"x86_64": 0, "aarch64": 63}
EXECVE = {"x86_64": 59, "aarch64": 221}
CLONE_THREAD_OF_GLIBC = 0x3D0F00
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000
LONGEST_PROGRAM = 4096  # BPF_MAXINSNS


def run(program: bytes, number: int, architecture: int, *arguments: int) -> int:
    """Interpret classic BPF over a `struct seccomp_data`; only what the filter may use is known here."""
    call = struct.pack("=iIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    instructions = list(struct.iter_unpack("=HBBI", program))
    position, accumulator = 0, 0
    while True:
        code, when_true, when_false, value = instructions[position]
        position += 1
        match code:
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                assert value % 4 == 0
                (accumulator,) = struct.unpack_from("=I", call, value)
            case 0x15:  # BPF_JMP | BPF_JEQ
                position += when_true if accumulator == value else when_false
            case 0x35:  # BPF_JMP | BPF_JGE
                position += when_true if accumulator >= value else when_false
            case 0x45:  # BPF_JMP | BPF_JSET
                position += when_true if accumulator & value else when_false
            case 0x06:  # BPF_RET
                return int(value)
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def answer(machine: str, number: int, *arguments: int) -> int:
    return run(filter_program(machine), number, AUDIT_ARCHITECTURE[machine], *arguments)


def test_what_installing_needs_is_allowed(machine: str) -> None:
    assert answer(machine, READ[machine]) == ALLOW
    assert answer(machine, EXECVE[machine]) == ALLOW


def test_syncing_does_nothing_and_succeeds(machine: str) -> None:
    assert {answer(machine, number) for number in seccomp.SILENT[machine]} == {ERRNO}
    assert len(set(seccomp.SILENT[machine])) == 5


def test_what_installing_never_needs_is_refused(machine: str) -> None:
    refused = seccomp.REFUSED[machine]
    assert {answer(machine, number) for number in refused.values()} == {ERRNO | errno.EPERM}
    assert {"mount", "unshare", "setns", "bpf", "keyctl", "kexec_load", "init_module", "ptrace"} <= set(refused)
    assert len(set(refused.values())) == len(refused)


def test_the_numbers_are_the_kernel_s() -> None:
    """As asm/unistd.h has them; from 424 on all architectures share them."""
    assert (seccomp.REFUSED["x86_64"]["mount"], seccomp.REFUSED["aarch64"]["mount"]) == (165, 40)
    for name in set(seccomp.REFUSED["x86_64"]) & set(seccomp.REFUSED["aarch64"]):
        one, other = seccomp.REFUSED["x86_64"][name], seccomp.REFUSED["aarch64"][name]
        assert (one == other) == (one >= 424), name
    assert set(seccomp.REFUSED["x86_64"]) - set(seccomp.REFUSED["aarch64"]) == {"iopl", "ioperm"}


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (socket.AF_UNIX, ALLOW),
        (socket.AF_INET, ALLOW),
        (socket.AF_INET6, ALLOW),
        (socket.AF_NETLINK, ALLOW),
        (socket.AF_VSOCK, ERRNO | errno.EAFNOSUPPORT),
        (socket.AF_PACKET, ERRNO | errno.EAFNOSUPPORT),
        (socket.AF_ALG, ERRNO | errno.EAFNOSUPPORT),
        (0, ERRNO | errno.EAFNOSUPPORT),
    ],
)
def test_sockets_are_only_of_families_that_the_empty_network_holds(machine: str, family: int, expected: int) -> None:
    assert answer(machine, SOCKET[machine], family, 1, 0) == expected


@pytest.mark.parametrize("flag", [1 << bit for bit in range(32)])
def test_no_new_namespace_is_made_by_clone(machine: str, flag: int) -> None:
    makes_one = flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
    assert answer(machine, CLONE[machine], flag) == (ERRNO | errno.EPERM if makes_one else ALLOW)


def test_processes_and_threads_can_be_made(machine: str) -> None:
    assert answer(machine, CLONE[machine], 17) == ALLOW
    assert answer(machine, CLONE[machine], CLONE_THREAD_OF_GLIBC) == ALLOW
    assert answer(machine, CLONE[machine], CLONE_NEWUSER | CLONE_NEWNS | 17) == ERRNO | errno.EPERM


def test_clone3_is_not_there_so_that_flags_can_be_seen(machine: str) -> None:
    assert answer(machine, CLONE3) == ERRNO | errno.ENOSYS


def test_the_x32_abi_is_not_there() -> None:
    assert answer("x86_64", 0x40000000) == ERRNO | errno.ENOSYS
    assert answer("x86_64", 0x40000000 + 165) == ERRNO | errno.ENOSYS
    assert answer("x86_64", -1) == ERRNO | errno.ENOSYS


def test_calls_of_another_architecture_are_not_there(machine: str) -> None:
    i386 = 0x40000003
    assert run(filter_program(machine), READ[machine], i386) == ERRNO | errno.ENOSYS


def test_the_program_is_one_that_the_kernel_takes(machine: str) -> None:
    program = filter_program(machine)
    assert len(program) % 8 == 0
    assert len(program) // 8 <= LONGEST_PROGRAM
    last_code, _, _, _ = struct.unpack("=HBBI", program[-8:])
    assert last_code == seccomp.RETURN
