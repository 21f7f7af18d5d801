"""What a run leaves for whoever started its pod: the termination message, and a copy of what it printed.

Both are there only where the environment names a place for them, which the operator's pods do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from image_composer.cli.render import printable

if TYPE_CHECKING:
    from image_composer.errors import ComposerError
    from image_composer.pod.message import PublishedArtifact, PublishedResult, StageMessage

MESSAGE_VARIABLE = "IMAGE_COMPOSER_TERMINATION_LOG"
LOG_VARIABLE = "IMAGE_COMPOSER_LOG_FILE"

NOTE_CHARACTERS = 200
HINT_CHARACTERS = 300
CODE_CHARACTERS = 64
ELLIPSIS = "..."


@dataclass(slots=True)
class Conclusion:
    """What there is to say at the end of a run."""

    note: str | None = None
    artifacts: Sequence[PublishedArtifact] = ()
    result: PublishedResult | None = None
    log: str | None = None
    failure: ComposerError | None = None


def leave_message(
    environment: Mapping[str, str], name: str, conclusion: Conclusion, hide: Callable[[str], str]
) -> str | None:
    """Write the termination message, if somebody waits for it.

    Args:
        environment: says where.
        name: of what was run.
        conclusion: what there is to say.
        hide: hides secrets in a text.

    Returns:
        Why it could not be written.
    """
    place = environment.get(MESSAGE_VARIABLE)
    if not place:
        return None
    content = message_bytes(name, conclusion, hide)
    try:
        # The file is a mount of its own, so it can't be replaced; what a former run left must not be appended to.
        Path(place).write_bytes(content)
    except OSError as error:
        return f"can't write the termination message {place}: {error.strerror}"
    return None


def message_bytes(name: str, conclusion: Conclusion, hide: Callable[[str], str] = str) -> bytes:
    """Give a run's message: JSON that is never longer than what the kubelet keeps."""
    from image_composer.pod.message import (  # noqa: PLC0415 - only pods need it
        MESSAGE_BYTES,
        Failure,
        StageMessage,
    )

    def plain(text: str) -> str:
        return hide(printable(text.encode(errors="replace").decode()))

    note = shortened(plain(conclusion.note), NOTE_CHARACTERS) if conclusion.note else None
    error = conclusion.failure
    if error is None:
        result = conclusion.result.brief() if conclusion.result else None
        files = [*conclusion.artifacts]
        message = StageMessage(stage=name, ok=True, note=note, artifacts=files, result=result, log=conclusion.log)
        return fitted_result(message, MESSAGE_BYTES)
    failure = Failure(
        code=shortened(plain(error.code), CODE_CHARACTERS),
        message=plain(error.message),
        hint=shortened(plain(error.hint), HINT_CHARACTERS) if error.hint else None,
        retryable=error.retryable,
    )
    return fitted_failure(StageMessage(stage=name, ok=False, failure=failure, note=note), MESSAGE_BYTES)


def fitted_failure(message: StageMessage, most: int) -> bytes:
    """Give a failure's message in at most so many bytes: its sentence is cut as far as need be."""
    failure = message.failure
    assert failure is not None
    fits, too_long = 0, len(failure.message) + 1
    content = encoded(message)
    if len(content) <= most:
        return content
    while too_long - fits > 1:  # escapes and other alphabets make bytes of characters in no fixed ratio
        middle = (fits + too_long) // 2
        cut = failure.model_copy(update={"message": shortened(failure.message, middle)})
        if len(encoded(message.model_copy(update={"failure": cut}))) <= most:
            fits = middle
        else:
            too_long = middle
    cut = failure.model_copy(update={"message": shortened(failure.message, fits)})
    content = encoded(message.model_copy(update={"failure": cut}))
    return content if len(content) <= most else fitted_failure(without_hint(message), most)


def without_hint(message: StageMessage) -> StageMessage:
    """Give a failure's message without what is not needed to understand it."""
    assert message.failure is not None
    return message.model_copy(update={"failure": message.failure.model_copy(update={"hint": None}), "note": None})


def fitted_result(message: StageMessage, most: int) -> bytes:
    """Give a success's message in at most so many bytes.

    A result's artifacts are left out first, all of them, since `attest` tells of them, too; then documents, from the
    end.
    """
    while len(content := encoded(message)) > most:
        result = message.result
        if message.artifacts:
            message = message.model_copy(update={"artifacts": message.artifacts[:-1]})
            continue
        if result is None or not (result.documents or result.artifacts):
            return encoded(message.model_copy(update={"result": None, "note": "the result is too long to say here"}))
        which = "artifacts" if result.artifacts else "documents"
        rest = [] if which == "artifacts" else result.documents[:-1]
        note = f"shortened: {result.result} lists everything"
        message = message.model_copy(update={"result": result.model_copy(update={which: rest}), "note": note})
    return content


def encoded(message: StageMessage) -> bytes:
    """Give a message as JSON, without what says nothing."""
    nothing = {name for name in ("artifacts",) if not getattr(message, name)}
    return message.model_dump_json(by_alias=True, exclude_none=True, exclude=nothing).encode()


def shortened(text: str, most: int) -> str:
    """Give a text of at most so many characters, with dots where it is cut."""
    return text if len(text) <= most else text[: max(0, most - len(ELLIPSIS))] + ELLIPSIS[:most]


class LogFile:
    """A file that a copy of what is printed is added to; what can't be written is left out, and nothing fails."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, text: str) -> int:
        """Add a text."""
        with suppress(OSError):  # a full disk: the build will notice by itself
            os.write(self._descriptor, text.encode(errors="replace"))
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


@contextmanager
def log_file(environment: Mapping[str, str]) -> Iterator[LogFile | None]:
    """Give the file that a copy of what is printed goes to, if one is wanted; a build never fails for want of it."""
    place = environment.get(LOG_VARIABLE)
    descriptor = _opened(Path(place)) if place else None
    if descriptor is None:
        yield None
        return
    try:
        yield LogFile(descriptor)
    finally:
        os.close(descriptor)


def _opened(file: Path) -> int | None:
    try:
        if not file.parent.is_dir():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.parent.chmod(0o777)  # the containers of a pod have different users
        return os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError:
        return None
