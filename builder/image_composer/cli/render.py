"""How events and errors look: live on a terminal, in lines otherwise, as JSON lines for machines."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

from image_composer.cli.secrets import HidingStream, Writable
from image_composer.errors import ComposerError, SpecError
from image_composer.report import Event, Sink

SECONDS_BETWEEN_LINES = 5.0
"""How often a long step says how far it is where lines can't be overwritten."""


class Display(Sink, Protocol):
    """A sink that also shows how it ended."""

    def error(self, error: ComposerError) -> None:
        """Show why the run failed."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class JsonDisplay:
    """One JSON object a line."""

    def __init__(self, stream: Writable, clock: Callable[[], float] = time.time) -> None:
        self._stream, self._clock, self._lock = stream, clock, threading.Lock()

    def emit(self, event: Event) -> None:
        """Write the event."""
        fields = ("kind", "message", "stage", "done", "total", "unit", "seconds")
        values = {name: getattr(event, name) for name in fields}
        self._write({name: value for name, value in values.items() if value is not None})

    def error(self, error: ComposerError) -> None:
        """Write the error, with every problem of a document."""
        document: dict[str, Any] = {"kind": "error", "code": error.code, "message": error.message}
        if error.hint:
            document["hint"] = error.hint
        document["retryable"] = error.retryable
        if isinstance(error, SpecError):
            document["problems"] = [
                {"path": problem.path, "message": problem.message, "code": problem.code} for problem in error.problems
            ]
        self._write(document)

    def close(self) -> None:
        """Nothing is left to do."""

    def _write(self, document: dict[str, Any]) -> None:
        line = json.dumps({"time": round(self._clock(), 3), **document}, ensure_ascii=False)
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()


class PlainDisplay:
    """Lines for logs and pipes."""

    def __init__(self, stream: Writable, *, verbose: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._verbose, self._clock = stream, verbose, clock
        self._lock = threading.Lock()
        self._last_progress = clock()

    def emit(self, event: Event) -> None:
        """Write a line, if the event is worth one."""
        with self._lock:
            line = self._line(event)
            if line is not None:
                self._stream.write(line + "\n")
                self._stream.flush()

    def _line(self, event: Event) -> str | None:
        if event.kind == "command" and not self._verbose:
            return None
        if event.kind == "progress":
            if self._clock() - self._last_progress < SECONDS_BETWEEN_LINES:
                return None
            self._last_progress = self._clock()
        return event_text(event)

    def error(self, error: ComposerError) -> None:
        """Write why it failed."""
        with self._lock:
            self._stream.write(error_text(error) + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Nothing is left to do."""


class TerminalDisplay:
    """A line a stage; the running one moves."""

    def __init__(self, stream: TextIO, *, verbose: bool) -> None:
        from rich.console import Console  # noqa: PLC0415 - takes a tenth of a second to load; only terminals need it

        self._console = Console(file=stream, highlight=False)
        self._verbose = verbose
        self._lock = threading.Lock()
        self._status = self._console.status("")
        self._running: Event | None = None
        self._status.start()

    def emit(self, event: Event) -> None:
        """Show the event."""
        with self._lock:
            if event.kind == "stage-started":
                self._running = event
                self._update(f"{event.message} ...")
            elif event.kind == "progress" and self._running is not None:
                self._update(f"{self._running.message}: {event.message} {amount(event)}")
            elif event.kind == "stage-finished":
                self._console.print(f"[green]✓[/green] {event.message} [dim]{event.seconds:.1f} s[/dim]")
            elif event.kind == "stage-failed":
                self._console.print(f"[red]✗[/red] {event.message} [dim]{event.seconds:.1f} s[/dim]")
            elif event.kind == "command" and self._verbose:
                self._console.print(event_text(event), style="dim", markup=False)
            elif event.kind == "warning":
                self._console.print(printable(f"  warning: {event.message}"), style="yellow", markup=False)
            elif event.kind == "info":
                self._console.print(printable(f"  {event.message}"), markup=False)

    def _update(self, line: str) -> None:
        from rich.text import Text  # noqa: PLC0415 - as above; brackets in names must not be taken for markup

        self._status.update(Text(printable(line)))

    def error(self, error: ComposerError) -> None:
        """Show why it failed."""
        self.close()
        self._console.print(error_text(error), style="red", markup=False, soft_wrap=True)

    def close(self) -> None:
        """End the moving line."""
        self._status.stop()


class Displays:
    """Several displays at once."""

    def __init__(self, displays: Sequence[Display]) -> None:
        self._displays = displays

    def emit(self, event: Event) -> None:
        """Show the event everywhere."""
        for one in self._displays:
            one.emit(event)

    def error(self, error: ComposerError) -> None:
        """Show everywhere why it failed."""
        for one in self._displays:
            one.error(error)

    def close(self) -> None:
        """Close all."""
        for one in self._displays:
            one.close()


@contextmanager
def display(
    stream: TextIO,
    *,
    log_format: str,
    verbose: bool,
    copy: Writable | None = None,
    hide: Callable[[str], str] = str,
) -> Iterator[Display]:
    """Choose how things look, by what was asked for and where the output goes.

    Args:
        stream: where it goes.
        log_format: one of `LOG_FORMATS`.
        verbose: whether commands are shown.
        copy: a file that plain lines go to as well.
        hide: hides secrets in what is kept; a terminal shows people what is theirs.
    """
    chosen: Display
    kept = HidingStream(stream, hide)
    if log_format == "json":
        chosen = JsonDisplay(kept)
    elif log_format == "plain" or not stream.isatty():
        chosen = PlainDisplay(kept, verbose=verbose)
    else:
        chosen = TerminalDisplay(stream, verbose=verbose)
    if copy is not None:
        chosen = Displays([chosen, PlainDisplay(HidingStream(copy, hide), verbose=verbose)])
    try:
        yield chosen
    finally:
        chosen.close()


def event_text(event: Event) -> str:
    """Give the line that stands for an event."""
    texts = {
        "stage-finished": f"done in {event.seconds or 0:.1f} s",
        "stage-failed": f"failed after {event.seconds or 0:.1f} s",
        "progress": f"{event.message} {amount(event)}".rstrip(),
        "command": f"+ {event.message}  # {event.seconds or 0:.2f} s",
        "warning": f"warning: {event.message}",
    }
    text = texts.get(event.kind, event.message)
    return printable(f"{event.stage}: {text}" if event.stage else text)


def amount(event: Event) -> str:
    """Give how far a step is, for example `12 of 160 packages`."""
    if event.unit == "bytes":
        from image_composer.spec.base import format_size  # noqa: PLC0415 - loads what short runs don't need

        done, total = format_size(event.done or 0), format_size(event.total) if event.total else None
        return f"{done} of {total}" if total else done
    if event.total is None:
        return f"{event.done} {event.unit}" if event.done else ""
    return f"{event.done} of {event.total} {event.unit}"


def error_text(error: ComposerError) -> str:
    """Give an error as people read it: what is wrong, what to do about it, the code to search for."""
    if isinstance(error, SpecError) and len(error.problems) > 1:
        lines = [f"error: {len(error.problems)} problems", *(f"  {problem}" for problem in error.problems)]
    else:
        lines = [f"error: {error.message}"]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    if error.retryable:
        lines.append("Trying again can help.")
    lines.append(f"[{error.code}]")
    return printable("\n".join(lines))


def printable(text: str) -> str:
    """Give a text without anything that a terminal would act on: some of it was written by packages and servers."""
    return "".join(
        character if character.isprintable() or character == "\n" else "\N{REPLACEMENT CHARACTER}"
        for character in text.expandtabs()
    )
