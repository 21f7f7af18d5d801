"""Gives up every right that installing packages does not need, for good. Standard library only, see launcher.py."""

from __future__ import annotations

import base64
import ctypes
from typing import Any

from image_composer.root.launcher_kernel import call, libc

PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 22, 24, 38
SECCOMP_MODE_FILTER = 2
LAST_CAPABILITY_TRIED = 63


def give_up_rights(plan: dict[str, Any]) -> None:
    """Drop capabilities, forbid gaining any, filter system calls; can't be undone."""
    keep = set(plan["capabilities"])
    for capability in range(LAST_CAPABILITY_TRIED + 1):
        if capability not in keep:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails for numbers the kernel doesn't know: fine
    drop_capabilities(keep)
    call("prctl", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    code = base64.b64decode(plan["seccomp"])
    buffer = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    program = Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    call("seccomp", libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0))


def drop_capabilities(keep: set[int]) -> None:
    """Reduce this process's own capability sets; the bounding set alone works only from the next exec."""

    class Header(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]

    class Sets(ctypes.Structure):
        _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]

    header = Header(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3
    sets = (Sets * 2)()
    for capability in keep:
        bit = 1 << (capability % 32)
        sets[capability // 32].effective |= bit
        sets[capability // 32].permitted |= bit
    call("capset", libc.capset(ctypes.byref(header), ctypes.byref(sets)))
