"""What every command shares: settings, display, host facts, and the one place where errors become exit statuses."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from image_composer.cli.render import Display, display
from image_composer.cli.secrets import hider
from image_composer.cli.termination import LOG_VARIABLE, Conclusion, leave_message, log_file
from image_composer.errors import EXIT_INTERRUPTED, EXIT_OURS, ComposerError, Problem, SpecError
from image_composer.report import Reporter
from image_composer.run import Runner
from image_composer.settings import Settings

if TYPE_CHECKING:  # what only some commands need takes longer to load than a skipped stage may take
    from image_composer.provider import Provider
    from image_composer.steps.build import Build
    from image_composer.workspace import Workspace

LOG_FORMATS = ("auto", "plain", "json")
STANDARD_INPUT = "-"
"""What users write for it instead of a file's name."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options that stand before the command."""

    log_format: str = "auto"
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the program."""

    settings: Settings
    reporter: Reporter
    runner: Runner
    display: Display
    conclusion: Conclusion = field(default_factory=Conclusion)


def run_session(options: Options, body: Callable[[Session], int | None], *, name: str = "image-composer") -> NoReturn:
    """Run a command's body and end the program with its status.

    Whatever fails ends as one screen of text and an exit status: 2 for the user's mistake, 1 for ours, 130 when
    interrupted. In a pod it ends with a termination message, too.

    Args:
        options: what stands before the command.
        body: what the command does.
        name: what the termination message calls it: the stage.
    """
    hide = hider(os.environ)
    conclusion = Conclusion()
    with ExitStack() as stack:
        stack.enter_context(ending_on_signals())
        copy = stack.enter_context(log_file(os.environ))
        shown = stack.enter_context(
            display(sys.stderr, log_format=options.log_format, verbose=options.verbose, copy=copy, hide=hide)
        )
        reporter = Reporter(shown)
        if copy is None and os.environ.get(LOG_VARIABLE):
            reporter.warning(f"can't write the log file {os.environ[LOG_VARIABLE]}")
        status: int | None
        try:
            settings = Settings.from_environment(os.environ)
            status = body(Session(settings, reporter, Runner(reporter), shown, conclusion))
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads any more: say no more
            status = EXIT_OURS
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - so that no traceback is all a user gets
            conclusion.failure, status = explained(error)
            if options.verbose and conclusion.failure.code == INTERNAL:
                import traceback  # noqa: PLC0415 - for the rare defect only

                traceback.print_exc()
            shown.error(conclusion.failure)
        lost = leave_message(os.environ, name, conclusion, hide)
        if lost:
            reporter.warning(lost)
    if status == EXIT_INTERRUPTED:
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(status)  # a thread may still be waiting for a mirror, see threads.py
    sys.exit(status or 0)


INTERNAL = "INTERNAL"
"""Code of our own defects."""


def explained(error: BaseException) -> tuple[ComposerError, int]:
    """Give the error that people read, and the exit status, for whatever ended a command."""
    if isinstance(error, ComposerError):
        return error, error.exit_status
    if isinstance(error, KeyboardInterrupt):
        return ComposerError("INTERRUPTED", "interrupted"), EXIT_INTERRUPTED
    if isinstance(error, OSError):
        return system_error(error), EXIT_OURS
    hint = "please report it, with the output of the same command under 'image-composer -v'"
    return ComposerError(INTERNAL, f"a defect of ours: {type(error).__name__}: {error}", hint=hint), EXIT_OURS


def system_error(error: OSError) -> ComposerError:
    """Give the error of a call to the system that nothing closer to it has explained."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "free space, or move workspace and cache: --workspace, IMAGE_COMPOSER_CACHE_DIR"
        return ComposerError("DISK_FULL", f"the disk is full{where}", hint=hint)
    return ComposerError("SYSTEM", f"{error.strerror or error}{where}")


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does, so that everything is cleaned up."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - a signal handler's signature
        raise KeyboardInterrupt

    former = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def with_key(session: Session, key: Path | None) -> Session:
    """Give the session with the private key for Secure Boot that the user names."""
    if key is None:
        return session
    return replace(session, settings=replace(session.settings, secure_boot_key=key.absolute()))


def new_build(session: Session, workspace: Workspace) -> Build:
    """Give a build in a workspace, with what is to be known of this host."""
    from datetime import UTC, datetime  # noqa: PLC0415 - see above

    from image_composer.provider import load_providers  # noqa: PLC0415 - see above
    from image_composer.steps.build import Build  # noqa: PLC0415 - see above
    from image_composer.verify.secrets import secret_variables  # noqa: PLC0415 - see above

    providers = load_providers()
    return Build(
        workspace=workspace,
        settings=session.settings,
        reporter=session.reporter,
        runner=session.runner,
        providers=providers,
        started_at=datetime.now(UTC),
        host_os_release=read_os_release(),
        host_sources=read_host_sources(list(providers.values())),
        secrets=secret_variables(os.environ),
    )


def with_document(build: Build, path: Path, variables: Mapping[str, str] | None = None) -> Build:
    """Give the build of a document; `-` is standard input."""
    is_input = str(path) == STANDARD_INPUT
    return replace(
        build,
        document=read_input(path),
        document_name="standard input" if is_input else path.name,
        document_folder=Path.cwd() if is_input else path.absolute().parent,
        variables=variables or {},
    )


def read_input(path: Path) -> bytes:
    """Read a file that the user names, no further than what is too large for a document.

    Raises:
        SpecError: SPEC_UNREADABLE.
    """
    from image_composer.spec.parse import MAX_BYTES  # noqa: PLC0415 - see above

    try:
        if str(path) == STANDARD_INPUT:
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError([Problem("", f"{path}: {error.strerror}", "SPEC_UNREADABLE")]) from error


def read_os_release() -> dict[str, str]:
    """Give the host's os-release; nothing when it has none."""
    import platform  # noqa: PLC0415 - see above

    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def read_host_sources(providers: list[Provider]) -> dict[str, str]:
    """Give the text of the host's package source files, by path; what can't be read is left out."""
    found = {}
    for pattern in (pattern for provider in providers for pattern in provider.host_source_files()):
        for path in Path("/").glob(pattern.lstrip("/")):
            try:
                found[str(path)] = path.read_text(errors="replace")
            except OSError:
                continue
    return found
