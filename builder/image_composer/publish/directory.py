"""Publishing to a directory: all files or none, and never half of them for a reader to see.

The files are put into a hidden folder beside the destination, made durable, and the two folders change places in
one step. A crash before that step leaves the former version as it was; what it leaves behind is removed by the next
publication.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from image_composer.digest import file_sha256
from image_composer.disk.sparse import copy_sparse, create_sparse
from image_composer.errors import DestinationError, DiskError, PublishError
from image_composer.evidence.result import RESULT_FILE
from image_composer.publish.exchange import FORMER_SUFFIX, exchange

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def publish(files: Mapping[str, Path], destination: Path) -> list[Path]:
    """Make a folder hold exactly the given files, replacing what an earlier build published there.

    Files on the destination's file system are hard-linked: the caller may remove or replace its own name of such a
    file afterwards, but must not write into it.

    Args:
        files: the finished files by the name they get; one of them must be result.json, which marks the folder as
            ours.
        destination: the folder; made when it is missing.

    Returns:
        The published files, sorted.

    Raises:
        PublishError: PUBLISH_NOT_OURS, PUBLISH_DISK_FULL, PUBLISH_CORRUPTED or PUBLISH_FAILED. The destination is
            then as it was.
    """
    if RESULT_FILE not in files or any(Path(name).name != name for name in files):
        raise ValueError(f"plain file names with {RESULT_FILE} among them are needed, not {sorted(files)}")
    target = Path(os.path.realpath(destination))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(target)
        with _staging(target) as staged:
            for name in sorted(files):
                _place(files[name], staged / name)
            _sync(staged)
            _swap(staged, target)
    except OSError as error:
        raise _explain(error, target) from error
    return [target / name for name in sorted(files)]


def check_destination(destination: Path) -> None:
    """Refuse a folder that can't be published to, before the work begins rather than at its end.

    Raises:
        PublishError: PUBLISH_NOT_OURS or PUBLISH_FAILED.
    """
    target = Path(os.path.realpath(destination))
    _refuse_foreign(target)
    above = next(folder for folder in target.parents if folder.exists())
    if not above.is_dir():
        raise _explain(NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(above)), target)
    if not os.access(above, os.W_OK | os.X_OK):
        raise PublishError(
            "PUBLISH_FAILED", f"can't publish to {target}: {above} can't be written", hint="choose another folder"
        )


def _refuse_foreign(target: Path) -> None:
    """Refuse to replace anything but an empty folder or what an earlier build published."""
    if not os.path.lexists(target):
        return
    if target.is_dir() and ((target / RESULT_FILE).is_file() or not any(target.iterdir())):
        return
    raise DestinationError(
        "PUBLISH_NOT_OURS",
        f"{target} holds something else than a published image (no {RESULT_FILE} in it); it was not touched",
        hint="choose another folder, or empty this one",
    )


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """Give a locked folder beside the target; whatever is in it at the end is removed."""
    with _locked(target.parent):  # or another publication could take the new folder for a crashed one's
        _remove_stale(target)
        staged = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
        lock = os.open(staged, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        staged.chmod(0o755)
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)
        os.close(lock)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _prefix(target: Path) -> str:
    return f".{target.name}.partial-"


def _remove_stale(target: Path) -> None:
    """Remove what crashed publications left; one that still runs holds the lock of its folder."""
    for former in target.parent.glob(f"{glob.escape(_prefix(target))}*{FORMER_SUFFIX}"):
        if not target.exists():
            former.rename(target)
    for folder in target.parent.glob(f"{glob.escape(_prefix(target))}*"):
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _place(source: Path, staged: Path) -> None:
    """Put one file into the staging folder and make its content durable."""
    real = source.resolve(strict=True)
    try:
        os.link(real, staged)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES):
            raise
        _copy(real, staged)
        if file_sha256(staged) != file_sha256(real):
            raise PublishError(
                "PUBLISH_CORRUPTED",
                f"{staged.name} reads back differently from what was written; nothing was published",
                hint="check the destination's disk",
                retryable=True,
            ) from error
    _sync(staged)


def _copy(source: Path, copy: Path) -> None:
    """Copy a file with its holes.

    Raises:
        OSError: as `publish` explains it.
    """
    try:
        create_sparse(copy, source.stat().st_size)
        copy_sparse(source, copy)
    except DiskError as error:
        cause = error.__cause__
        raise (cause if isinstance(cause, OSError) else error) from None


def _swap(staged: Path, target: Path) -> None:
    """Put the staged folder in the target's place in one step."""
    with _locked(target.parent):
        if target.is_dir() and any(target.iterdir()):
            exchange(staged, target)
        else:
            staged.rename(target)
        _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explain(error: OSError, target: Path) -> PublishError:
    if error.errno in _FULL:
        return PublishError(
            "PUBLISH_DISK_FULL",
            f"the disk of {target.parent} is full; {target} is as it was",
            hint="free space there, or publish elsewhere",
            retryable=True,
        )
    where = f" ({error.filename})" if error.filename else ""
    return PublishError("PUBLISH_FAILED", f"can't publish to {target}: {error.strerror}{where}; it is as it was")
