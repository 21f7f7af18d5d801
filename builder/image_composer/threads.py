"""Threads that whoever interrupts the program need not wait for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType


class Threads(ThreadPoolExecutor):
    """A pool that waits for its threads at the end of a `with`, unless the program is being interrupted.

    They may be reading from a mirror that has gone silent. The command line ends the process, and them with it, as
    soon as everything else is cleaned up; so what they do must not need cleaning up.
    """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        interrupted = kind is not None and not issubclass(kind, Exception)
        self.shutdown(wait=not interrupted, cancel_futures=interrupted)
