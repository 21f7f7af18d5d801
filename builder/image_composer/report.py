"""One stream of events: people see progress, machines see JSON lines.

Code reports what happens; how it looks is decided by the sink that the command line chose (cli/render.py). Nothing
here prints.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

EventKind = Literal["stage-started", "stage-finished", "stage-failed", "progress", "info", "warning", "command"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened during a build.

    `seconds` is the duration for finished stages and commands. `done` and `total` count `unit`s and come with
    `progress` only; `total` may be unknown.
    """

    kind: EventKind
    message: str
    stage: str | None = None
    done: int | None = None
    total: int | None = None
    unit: str | None = None
    seconds: float | None = None


class Sink(Protocol):
    """Takes events, from any thread, one at a time."""

    def emit(self, event: Event) -> None:
        """Take one event."""


class NullSink:
    """Forgets every event: for library use and tests."""

    def emit(self, event: Event) -> None:
        """Do nothing with the event."""


@dataclass(slots=True)
class Reporter:
    """What the composer's code reports to."""

    sink: Sink = field(default_factory=NullSink)
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by finished stage, in order of finishing."""
    conclusions: dict[str, str] = field(default_factory=dict)
    """What came of each stage, in a sentence."""
    _stages: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, summary: str) -> Iterator[None]:
        """Report the start, the end and the duration of a stage."""
        self._stages.append(name)
        self.sink.emit(Event("stage-started", summary, stage=name))
        started = time.monotonic()
        try:
            yield
        except BaseException:
            self.sink.emit(Event("stage-failed", summary, stage=name, seconds=time.monotonic() - started))
            raise
        else:
            elapsed = time.monotonic() - started
            self.timings[name] = round(elapsed, 3)
            self.sink.emit(Event("stage-finished", summary, stage=name, seconds=elapsed))
        finally:
            self._stages.pop()

    def progress(self, message: str, done: int, total: int | None, unit: str) -> None:
        """Report how far a long step has come; cheap, may be called often."""
        self.sink.emit(Event("progress", message, stage=self._stage(), done=done, total=total, unit=unit))

    def info(self, message: str) -> None:
        """Report something worth a line."""
        self.sink.emit(Event("info", message, stage=self._stage()))

    def conclude(self, sentence: str) -> None:
        """Report what came of the stage, for example `169 packages, 75 MB`; kept, as the pod's status shows it."""
        self.info(sentence)
        self.conclusions[self._stage() or ""] = sentence

    def warning(self, message: str) -> None:
        """Report something that the user should look at, though the build goes on."""
        self.sink.emit(Event("warning", message, stage=self._stage()))

    def command(self, command: str, seconds: float) -> None:
        """Report a finished external command, as it can be repeated by hand."""
        self.sink.emit(Event("command", command, stage=self._stage(), seconds=seconds))

    def _stage(self) -> str | None:
        return self._stages[-1] if self._stages else None
