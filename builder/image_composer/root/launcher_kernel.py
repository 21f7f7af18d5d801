"""The few calls into the kernel that Python has no name for. Standard library only, see launcher.py."""

from __future__ import annotations

import ctypes
import os
import signal

EXIT_REFUSED = 125
"""Exit status when the sandbox itself could not be set up; the reason is on standard error as one line of JSON."""

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4

libc = ctypes.CDLL(None, use_errno=True)


class RefusedError(Exception):
    """The kernel did not allow a step of setting up."""


class RootError(RefusedError):
    """A package has put something into the root that the sandbox can't be set up over."""


def call(name: str, result: int) -> None:
    """Turn a C function's failure into a `RefusedError` that names the function."""
    if result != 0:
        raise RefusedError(f"{name}: {os.strerror(ctypes.get_errno())}")


def die_with_parent(parent: int) -> None:
    """Be killed when the parent ends, even if it has ended already."""
    call("prctl", libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:
        os._exit(EXIT_REFUSED)
