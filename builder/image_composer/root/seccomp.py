"""The system call filter of the sandbox, as a classic BPF program.

Two purposes: what installing packages never needs but kernels have had holes in is refused, and `fsync` and its
kin do nothing, since a half-written root is thrown away anyway (dpkg calls them for every file).
Format: linux/seccomp.h and linux/bpf_common.h; system call numbers from asm/unistd.h of each architecture.
"""

from __future__ import annotations

import errno
import struct

LOAD_WORD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
OFFSET_NUMBER, OFFSET_ARCHITECTURE, OFFSET_ARGUMENT_0 = 0, 4, 16

AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_BIT = 0x40000000
"""Set in the numbers of the x32 ABI, which no supported distribution uses."""

SILENT: dict[str, tuple[int, ...]] = {
    # fsync fdatasync sync syncfs sync_file_range
    "x86_64": (74, 75, 162, 306, 277),
    "aarch64": (82, 83, 81, 267, 84),
}
"""Calls that answer success without doing anything."""

REFUSED: dict[str, dict[str, int]] = {
    "x86_64": {
        "mount": 165, "umount2": 166, "pivot_root": 155, "unshare": 272, "setns": 308, "open_tree": 428,
        "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
        "swapon": 167, "swapoff": 168, "reboot": 169, "kexec_load": 246, "kexec_file_load": 320,
        "init_module": 175, "finit_module": 313, "delete_module": 176, "bpf": 321, "perf_event_open": 298,
        "userfaultfd": 323, "keyctl": 250, "add_key": 248, "request_key": 249, "quotactl": 179, "acct": 163,
        "settimeofday": 164, "clock_settime": 227, "open_by_handle_at": 304, "io_uring_setup": 425,
        "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "iopl": 172, "ioperm": 173,
    },
    "aarch64": {
        "mount": 40, "umount2": 39, "pivot_root": 41, "unshare": 97, "setns": 268, "open_tree": 428,
        "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
        "swapon": 224, "swapoff": 225, "reboot": 142, "kexec_load": 104, "kexec_file_load": 294,
        "init_module": 105, "finit_module": 273, "delete_module": 106, "bpf": 280, "perf_event_open": 241,
        "userfaultfd": 282, "keyctl": 219, "add_key": 217, "request_key": 218, "quotactl": 60, "acct": 89,
        "settimeofday": 170, "clock_settime": 112, "open_by_handle_at": 265, "io_uring_setup": 425,
        "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271,
    },
}  # fmt: skip
"""Calls that answer EPERM."""

CLONE = {"x86_64": 56, "aarch64": 220}
CLONE3 = 435
"""Answers ENOSYS, so that C libraries fall back to clone, whose flags a filter can see."""

NEW_NAMESPACE_FLAGS = 0x7E020000
"""CLONE_NEWUSER, NEWPID, NEWNET, NEWIPC, NEWUTS, NEWCGROUP and NEWNS."""

SOCKET = {"x86_64": 41, "aarch64": 198}
SOCKET_FAMILIES = (1, 2, 10, 16)
"""Unix, IPv4, IPv6, netlink: all bound to the empty network namespace. Others (vsock, for one) are not."""


def filter_program(machine: str) -> bytes:
    """Give the filter for an architecture as the kernel takes it: 8 bytes an instruction, native byte order.

    Raises:
        KeyError: the architecture is not known.
    """
    program = [
        _statement(LOAD_WORD, OFFSET_ARCHITECTURE),
        _jump(JUMP_EQUAL, AUDIT_ARCHITECTURE[machine], 1, 0),
        _refuse(errno.ENOSYS),
        _statement(LOAD_WORD, OFFSET_NUMBER),
    ]
    if machine == "x86_64":
        program += [_jump(JUMP_GREATER_EQUAL, X32_BIT, 0, 1), _refuse(errno.ENOSYS)]
    for number in SILENT[machine]:
        program += [_jump(JUMP_EQUAL, number, 0, 1), _refuse(0)]
    for number in REFUSED[machine].values():
        program += [_jump(JUMP_EQUAL, number, 0, 1), _refuse(errno.EPERM)]
    program += [_jump(JUMP_EQUAL, CLONE3, 0, 1), _refuse(errno.ENOSYS)]
    program += [
        _jump(JUMP_EQUAL, CLONE[machine], 0, 4),
        _statement(LOAD_WORD, OFFSET_ARGUMENT_0),
        _jump(JUMP_SET, NEW_NAMESPACE_FLAGS, 0, 1),
        _refuse(errno.EPERM),
        _statement(RETURN, ALLOW),
    ]
    families = len(SOCKET_FAMILIES)
    program += [_jump(JUMP_EQUAL, SOCKET[machine], 0, families + 2), _statement(LOAD_WORD, OFFSET_ARGUMENT_0)]
    program += [_jump(JUMP_EQUAL, family, families - position, 0) for position, family in enumerate(SOCKET_FAMILIES)]
    program += [_refuse(errno.EAFNOSUPPORT), _statement(RETURN, ALLOW)]
    return b"".join(program)


def _statement(code: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, 0, 0, value)


def _jump(code: int, value: int, when_true: int, when_false: int) -> bytes:
    """Skip `when_true` or `when_false` instructions."""
    return struct.pack("=HBBI", code, when_true, when_false, value)


def _refuse(number: int) -> bytes:
    return _statement(RETURN, ERRNO | number)
