"""How events and errors look."""

from __future__ import annotations

import io
import json

import pytest

from image_composer.cli.render import (
    Display,
    JsonDisplay,
    PlainDisplay,
    TerminalDisplay,
    amount,
    display,
    error_text,
    event_text,
    printable,
)
from image_composer.cli.session import system_error
from image_composer.errors import ComposerError, Problem, SpecError
from image_composer.report import Event, EventKind, Reporter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "log_format", "kind"),
    [
        (Terminal(), "auto", TerminalDisplay),
        (io.StringIO(), "auto", PlainDisplay),
        (Terminal(), "plain", PlainDisplay),
        (Terminal(), "json", JsonDisplay),
    ],
)
def test_the_look_follows_what_was_asked_for_and_where_it_goes(
    stream: io.StringIO, log_format: str, kind: type
) -> None:
    with display(stream, log_format=log_format, verbose=False) as chosen:
        assert type(chosen) is kind


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Event("stage-started", "fetching packages", stage="fetch"), "fetch: fetching packages"),
        (Event("stage-finished", "fetching packages", stage="fetch", seconds=1.25), "fetch: done in 1.2 s"),
        (Event("stage-failed", "fetching packages", stage="fetch", seconds=2), "fetch: failed after 2.0 s"),
        (Event("progress", "unpacking", stage="a", done=1, total=2, unit="packages"), "a: unpacking 1 of 2 packages"),
        (Event("info", "8 packages"), "8 packages"),
        (Event("warning", "two kernels", stage="assemble"), "assemble: warning: two kernels"),
        (Event("command", "mke2fs x", stage="image", seconds=0.123), "image: + mke2fs x  # 0.12 s"),
    ],
)
def test_an_event_is_one_line(event: Event, text: str) -> None:
    assert event_text(event) == text


@pytest.mark.parametrize(
    ("done", "total", "unit", "text"),
    [
        (12, 160, "packages", "12 of 160 packages"),
        (0, None, "packages", ""),
        (3, None, "packages", "3 packages"),
        (1536, 1 << 20, "bytes", "1.5 KiB of 1.0 MiB"),
        (1536, None, "bytes", "1.5 KiB"),
    ],
)
def test_amounts_are_told_as_far_as_they_are_known(done: int, total: int | None, unit: str, text: str) -> None:
    assert amount(Event("progress", "x", done=done, total=total, unit=unit)) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ComposerError("A_B", "it broke"), "error: it broke\n[A_B]"),
        (
            ComposerError("A_B", "it broke\nso", hint="mend it", retryable=True),
            "error: it broke\nso\nhint: mend it\nTrying again can help.\n[A_B]",
        ),
        (SpecError([Problem("a.b", "is odd")]), "error: a.b: is odd\n[SPEC_INVALID]"),
        (
            SpecError([Problem("a", "is odd", "X"), Problem("", "all is odd", "Y")], hint="mend it"),
            "error: 2 problems\n  a: is odd\n  all is odd\nhint: mend it\n[X]",
        ),
        (system_error(OSError(28, "No space left on device", "/x")), "error: the disk is full (/x)\n" + "hint: free "),
        (system_error(PermissionError(13, "Permission denied", "/x")), "error: Permission denied (/x)\n[SYSTEM]"),
    ],
)
def test_an_error_ends_with_what_to_do_and_what_to_search_for(error: ComposerError, text: str) -> None:
    assert error_text(error).startswith(text)
    assert error_text(error).endswith(f"[{error.code}]")


def report_everything(display: Display) -> None:
    reporter = Reporter(display)
    with reporter.stage("assemble", "assembling"):
        reporter.progress("configuring [/red]", 1, 2, "packages")
        reporter.info("a [bold]plain[/bold] line")
        reporter.warning("[/] is odd")
        reporter.command("mke2fs [root]", 0.5)
    with pytest.raises(ComposerError), reporter.stage("image", "making images"):
        raise ComposerError("X", "broken")
    display.error(ComposerError("X", "broken [/green]"))
    display.close()


def test_a_terminal_shows_words_as_they_are() -> None:
    stream = Terminal()
    report_everything(TerminalDisplay(stream, verbose=True))
    for text in ("a [bold]plain[/bold] line", "warning: [/] is odd", "mke2fs [root]", "broken [/green]", "✓", "✗"):
        assert text in stream.getvalue()


def test_commands_are_shown_only_when_asked_for() -> None:
    for verbose in (False, True):
        stream = io.StringIO()
        report_everything(PlainDisplay(stream, verbose=verbose))
        assert ("mke2fs" in stream.getvalue()) is verbose


def test_progress_in_lines_is_told_every_few_seconds() -> None:
    stream = io.StringIO()
    times = iter([0.0, 1.0, 4.9, 5.1, 5.1, 9.0, 10.2, 10.2])
    plain = PlainDisplay(stream, verbose=False, clock=lambda: next(times))
    for number in range(5):
        plain.emit(Event("progress", "unpacking", done=number, total=9, unit="packages"))
    assert stream.getvalue().splitlines() == ["unpacking 2 of 9 packages", "unpacking 4 of 9 packages"]


def test_machines_get_one_object_a_line_whatever_is_in_it() -> None:
    stream = io.StringIO()
    shown = JsonDisplay(stream, clock=lambda: 1.23456)
    shown.emit(Event("info", "two\nlines ä\x1b"))
    report_everything(shown)
    first, *rest = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert first == {"time": 1.235, "kind": "info", "message": "two\nlines ä\x1b"}
    assert rest[-1] == {"time": 1.235, "kind": "error", "code": "X", "message": "broken [/green]", "retryable": False}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é\n  text", "plain é\n  text"),
        ("a\tb", "a       b"),
        ("\x1b]0;owned\x07", "\ufffd]0;owned\ufffd"),
        ("\x9b2J\r\x7f\u202e\udcff", "\ufffd2J" + "\ufffd" * 4),
    ],
)
def test_what_a_terminal_would_act_on_is_not_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_neither_errors_nor_events_carry_escape_sequences() -> None:
    assert "\x1b" not in error_text(ComposerError("CODE", "\x1b[2J", hint="\x1b[2J"))
    assert "\x1b" not in event_text(Event("info", "\x1b[2J", stage="fetch"))


@pytest.mark.parametrize("kind", ["info", "warning"])
def test_a_terminal_is_not_sent_what_packages_wrote(kind: EventKind) -> None:
    stream = Terminal()
    with display(stream, log_format="auto", verbose=False) as chosen:
        chosen.emit(Event(kind, "\x1b]0;owned\x07"))
    assert "]0;owned" in stream.getvalue()
    assert "\x1b]0;owned" not in stream.getvalue()


def test_a_copy_is_plain_whatever_the_display_looks_like_and_neither_has_secrets() -> None:
    stream, copy = io.StringIO(), io.StringIO()
    with display(
        stream, log_format="json", verbose=False, copy=copy, hide=lambda text: text.replace("hunter2", "***")
    ) as chosen:
        chosen.emit(Event("info", "the password is hunter2", stage="fetch"))
        chosen.error(ComposerError("X", "hunter2 is wrong"))
    assert json.loads(stream.getvalue().splitlines()[0])["message"] == "the password is ***"
    assert copy.getvalue() == "fetch: the password is ***\nerror: *** is wrong\n[X]\n"
    assert "hunter2" not in stream.getvalue()
