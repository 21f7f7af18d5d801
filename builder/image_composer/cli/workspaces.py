"""Where a build works when the user doesn't say: a folder of its own in the cache, gone afterwards."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from image_composer.cli.memory import give_memory_back
from image_composer.errors import ComposerError, StoreError
from image_composer.root.idmap import choose_ids, read_id_files
from image_composer.root.sandbox import Sandbox
from image_composer.run import Runner
from image_composer.workspace import Workspace

REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def opened_workspace(given: Path | None, cache_dir: Path) -> Iterator[Workspace]:
    """Give a workspace: the user's, which stays, or a new one, which is removed at the end, however it comes.

    What a killed build left in the cache is removed on the way.

    Raises:
        StoreError: STORE_UNWRITABLE, WORKSPACE_IN_USE.
    """
    with ExitStack() as stack:
        try:
            if given is not None:
                given.mkdir(parents=True, exist_ok=True)
            opened = _locked(given) if given is not None else _temporary(cache_dir / "workspaces")
            folder = stack.enter_context(opened)
        except OSError as error:
            if error.errno not in REFUSED:
                raise
            hint = "set IMAGE_COMPOSER_CACHE_DIR or --workspace to a folder that you may write to"
            raise StoreError("STORE_UNWRITABLE", f"{error.filename} can't be written", hint=hint) from error
        yield Workspace(folder.resolve())


@contextmanager
def _temporary(home: Path) -> Iterator[Path]:
    """Give a new folder, and remove it with all that is in it."""
    home.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with _locked(home, wait=True):  # a new folder must not be taken for an abandoned one before it is locked
            _remove_abandoned(home)
            folder = Path(tempfile.mkdtemp(prefix="build-", dir=home))
            folder.chmod(0o755)
            stack.enter_context(_locked(folder))
        try:
            yield folder
        finally:
            give_memory_back(Workspace(folder.resolve()))
            _remove(folder)


@contextmanager
def _locked(folder: Path, *, wait: bool = False) -> Iterator[Path]:
    """Hold a folder; the kernel lets go of it when we end, however we end."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise StoreError("WORKSPACE_IN_USE", f"another build is using the workspace {folder}") from None
        yield folder
    finally:
        os.close(descriptor)


def _remove_abandoned(home: Path) -> None:
    for folder in home.glob("build-*"):
        try:
            with _locked(folder):
                _remove(folder)
        except (StoreError, FileNotFoundError):  # in use, or its build has just removed it
            continue


def _remove(folder: Path) -> None:
    """Remove a workspace, as far as that is possible.

    Without root, files of the image belong to ids that only a sandbox may act for.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists() and os.geteuid() != 0:
        with suppress(ComposerError):
            ids = choose_ids(os.geteuid(), os.getegid(), read_id_files())
            Sandbox(folder.resolve(), Runner(), ids).tools().run(["rm", "-rf", "--", *folder.resolve().iterdir()])
        shutil.rmtree(folder, ignore_errors=True)
