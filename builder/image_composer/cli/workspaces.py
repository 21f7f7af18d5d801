"""Where a build works when the user doesn't say: a folder of its own in the cache, gone afterwards."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from image_composer.errors import StoreError
from image_composer.workspace import Workspace

LOCK = ".in-use"


@contextmanager
def opened_workspace(given: Path | None, cache_dir: Path) -> Iterator[Workspace]:
    """Give a workspace: the user's, which stays, or a new one, which is removed at the end, however it comes.

    What a killed build left in the cache is removed on the way.

    Raises:
        StoreError: STORE_UNWRITABLE, WORKSPACE_IN_USE.
    """
    try:
        if given is not None:
            with _locked(given):
                yield Workspace(given.resolve())
            return
        home = cache_dir / "workspaces"
        home.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(home)
        folder = Path(tempfile.mkdtemp(prefix="build-", dir=home))
    except PermissionError as error:
        hint = "set IMAGE_COMPOSER_CACHE_DIR or --workspace to a folder that you may write to"
        raise StoreError("STORE_UNWRITABLE", f"{error.filename} can't be written", hint=hint) from error
    folder.chmod(0o755)
    with _locked(folder):
        try:
            yield Workspace(folder.resolve())
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StoreError("WORKSPACE_IN_USE", f"another build is using the workspace {folder}") from None
    try:
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(home: Path) -> None:
    for folder in home.glob("build-*"):
        try:
            with _locked(folder):
                shutil.rmtree(folder, ignore_errors=True)
        except StoreError:
            continue
