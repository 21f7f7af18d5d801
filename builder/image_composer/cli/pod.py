"""What the operator's builder pods run beside the stages."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from image_composer.cli.session import Options, Session, new_build, read_input, run_session
from image_composer.errors import ComposerError, Problem, SpecError

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

UPLOAD_SECONDS = 20
"""How long a log may take to be uploaded: the kubelet kills what is left of a pod after 30 s."""


def preflight(options: Options, *, workspace: Path) -> NoReturn:
    """See whether the bucket can be published to, and whether that has been done already; sign what is fetched."""

    def body(session: Session) -> None:
        from image_composer.cli.workspaces import opened_workspace  # noqa: PLC0415 - see cli/session.py
        from image_composer.steps.bucket_inputs import sign_inputs  # noqa: PLC0415 - see cli/session.py
        from image_composer.steps.preflight import preflight as look  # noqa: PLC0415 - see cli/session.py

        with opened_workspace(workspace, session.settings.cache_dir) as opened:
            build, published = new_build(session, opened), None
            try:
                with session.reporter.stage("preflight", "looking at the bucket"):
                    published = look(build)
            except ComposerError as error:
                if not error.retryable:
                    raise
                session.reporter.warning(f"{error.message}; building all the same")
                session.conclusion.note = "the server can't be reached; building all the same"
            else:
                session.conclusion.note = "already published" if published else "nothing published yet"
            if published is None:
                sign_inputs(build)

    run_session(options, body, name="preflight")


def log(options: Options, *, workspace: Path) -> NoReturn:
    """Wait for the end of the pod, then upload its log; never fails."""
    # From here on the end of the pod waits for us to look; it must not find us between two steps.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)

    def body(session: Session) -> None:
        session.reporter.info("log: waiting for the end of the pod")
        signal.sigwait(ENDING)
        try:
            with deadline(UPLOAD_SECONDS):
                upload(session, workspace)
        except (Exception, LateError) as error:  # noqa: BLE001 - a build does not fail for want of its log
            reason = error.message if isinstance(error, ComposerError) else f"{type(error).__name__}: {error}"
            session.reporter.warning(f"the log was not uploaded: {reason}")
            session.conclusion.note = f"not uploaded: {reason}"

    run_session(options, body, name="log")


def upload(session: Session, workspace: Path) -> None:
    """Upload the log of a workspace's build, if it is known where to."""
    from image_composer.pod.log import joined_log, upload_log  # noqa: PLC0415 - most memory and time are spent here
    from image_composer.workspace import PublishPlace, Workspace  # noqa: PLC0415 - see above

    work, settings = Workspace(workspace), session.settings
    content = joined_log(workspace / "logs")
    place = work.read(work.destination, PublishPlace) if work.destination.exists() else None
    folder = settings.folder or (place.folder if place else None)
    if not content or place is None or folder is None:
        session.conclusion.note = "nothing was logged" if not content else "it is not known where to upload it"
        session.reporter.info(f"log: {session.conclusion.note}")
        return
    session.conclusion.log = upload_log(content, place.s3, folder, settings.attempt, settings)
    session.reporter.info(f"log: {session.conclusion.log}")


class LateError(BaseException):
    """Time is over. Nothing that retries after exceptions takes it for one."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """End what takes too long with a `LateError`, wherever it is."""

    def late(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - a signal handler's signature
        raise LateError(f"it took longer than {seconds:g} s")

    former = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def clean(options: Options, document: Path) -> NoReturn:
    """Remove everything that a document's ImageBuild has published."""

    def body(session: Session) -> None:
        from image_composer.pod.clean import clean as remove  # noqa: PLC0415 - see cli/session.py
        from image_composer.publish.patience import Patience  # noqa: PLC0415 - see cli/session.py
        from image_composer.publish.s3_client import opened_client  # noqa: PLC0415 - see cli/session.py
        from image_composer.spec.document import read_placement  # noqa: PLC0415 - see cli/session.py

        placement = read_placement(read_input(document), document.name)
        if placement is None:
            raise SpecError([Problem("spec.destination", "is missing", "SPEC_MISSING_FIELD")])
        settings = session.settings
        with opened_client(placement.s3, settings) as client:
            patience = Patience(placement.s3, settings.publish_patience, session.reporter)
            cleaned = remove(client, placement, patience)
        session.conclusion.note = f"removed {cleaned.objects} objects and {cleaned.uploads} unfinished uploads"
        session.reporter.info(session.conclusion.note)
        if cleaned.foreign:
            session.reporter.warning(f"left {cleaned.foreign} objects that no build has put there")

    run_session(options, body, name="clean")
