"""What a document takes from elsewhere: downloads with their digest, keys of ConfigMaps and Secrets.

Downloads are brought by `fetch`, which alone reaches the network. ConfigMaps and Secrets are read where they are
needed, by `assemble`: no copy of a Secret lies in the workspace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from image_composer.digest import file_sha256
from image_composer.errors import Problem, RepositoryError, SpecError
from image_composer.settings import MIB
from image_composer.spec.document import Document
from image_composer.spec.files import File, KeyRef
from image_composer.spec.image import ImageSpec
from image_composer.spec.scripts import Script
from image_composer.spec.software import Artifact
from image_composer.steps.bucket_inputs import bucket_downloader
from image_composer.steps.build import Build
from image_composer.steps.trees import CONFIG_MAPS, check_trees, local_trees
from image_composer.store.content import Wanted
from image_composer.store.download import Downloader
from image_composer.store.fetch import linked

LARGEST_DOWNLOAD = 256 * MIB
"""Bytes of a downloaded file; what is larger belongs into a package."""

LARGEST_INPUT = 2 * MIB
"""Bytes of a key of a ConfigMap or Secret; Kubernetes itself allows one."""

SECRETS = "secrets"
"""Folder beside that of ConfigMaps, and of the same shape."""


@dataclass(frozen=True, slots=True)
class Download:
    """Something that is downloaded."""

    path: str
    """Of its field in the image's spec, for example `files[3]`."""

    url: str
    sha256: str


def downloads(spec: ImageSpec) -> list[Download]:
    """Give all that a document downloads, but for artifacts, which are too large to be held in memory."""
    return [
        Download(path, item.url, item.sha256)
        for path, item in spec.downloaded.items()
        if not isinstance(item, Artifact) and item.url is not None and item.sha256 is not None
    ]


def fetch_inputs(build: Build) -> None:
    """Bring all downloads into the workspace, and look at what they hold.

    Raises:
        RepositoryError: one can't be had, or is not what the document says.
        InputError: there are no credentials for a bucket.
        SpecError: SPEC_TREE, what a tree holds is refused.
    """
    downloader = bucket_downloader(build)
    for wanted in downloads(build.spec.image):
        place = build.workspace.input(wanted.path)
        place.parent.mkdir(exist_ok=True)
        linked(build.store.derived("download", wanted.sha256, partial(_bring, downloader, wanted)), place)
    check_trees(build)
    for number, artifact in enumerate(build.spec.image.artifacts):
        place = build.workspace.input(f"artifacts[{number}]")
        place.parent.mkdir(exist_ok=True)
        name = artifact.path.rsplit("/", 1)[1]
        known = Wanted(artifact.sha256, artifact.size, (artifact.url,), name, f"artifacts[{number}]")
        build.reporter.info(f"downloading {artifact.url}")
        linked(build.store.obtain(known, downloader), place)


def artifact_files(build: Build) -> list[Path]:
    """Give the files of the document's artifacts, verified."""
    found = []
    for number, artifact in enumerate(build.spec.image.artifacts):
        place = build.workspace.input(f"artifacts[{number}]")
        actual = file_sha256(place)
        if actual != artifact.sha256:
            raise _wrong_digest(Download(f"artifacts[{number}]", artifact.url, artifact.sha256), actual)
        found.append(place)
    return found


def given_content(build: Build) -> dict[str, bytes]:
    """Give the content of files and scripts that don't bring their own, and the archives of trees, by their path.

    Raises:
        SpecError: SPEC_INPUT_MISSING, SPEC_INPUT_TOO_LARGE.
        RepositoryError: DOWNLOAD_WRONG_DIGEST, the workspace has been tampered with.
    """
    found: dict[str, bytes] = {}
    for wanted in downloads(build.spec.image):
        content = build.workspace.input(wanted.path).read_bytes()
        _check(wanted, content)
        found[wanted.path] = content
    for path, item in _items(build.spec.image):
        for kind, reference in _references(item):
            found[path] = _read_key(build, path, kind, reference)
    return found


def check_inputs(build: Build, document: Document) -> None:
    """See that keys of ConfigMaps and Secrets are there, on a machine that can't ask a cluster: before the work.

    Raises:
        SpecError: SPEC_INPUT_MISSING, with all that are missing.
    """
    if not build.stands_alone:
        return
    problems = [
        _missing(document.path(path), kind, reference, place)
        for path, item in _items(document.spec)
        for kind, reference in _references(item)
        if (place := _place(build, kind, reference)) is None or not place.is_file()
    ]
    problems += [Problem(document.path(path), said, "SPEC_TREE") for path, said in local_trees(build, document.spec)]
    if problems:
        raise SpecError(problems, hint=HINT)


def _items(spec: ImageSpec) -> Iterator[tuple[str, File | Script]]:
    yield from ((f"files[{number}]", file) for number, file in enumerate(spec.files))
    yield from ((f"scripts[{number}]", script) for number, script in enumerate(spec.scripts))


def _references(item: File | Script) -> Iterator[tuple[str, KeyRef]]:
    if item.config_map_ref is not None:
        yield CONFIG_MAPS, item.config_map_ref
    if isinstance(item, File) and item.secret_ref is not None:
        yield SECRETS, item.secret_ref


def _place(build: Build, kind: str, reference: KeyRef) -> Path | None:
    folder = build.settings.inputs
    return folder / kind / reference.name / reference.key if folder is not None else None


def _read_key(build: Build, path: str, kind: str, reference: KeyRef) -> bytes:
    place = _place(build, kind, reference)
    if place is None or not place.is_file():
        raise SpecError([_missing(build.spec.field(path), kind, reference, place)], hint=HINT)
    if place.stat().st_size > LARGEST_INPUT:
        message = f"{place} has more than {LARGEST_INPUT // MIB} MiB"
        raise SpecError([Problem(build.spec.field(path), message, "SPEC_INPUT_TOO_LARGE")])
    return place.read_bytes()


HINT = "name the folder that holds them as configmaps/NAME/KEY and secrets/NAME/KEY in IMAGE_COMPOSER_INPUTS"


def _missing(path: str, kind: str, reference: KeyRef, place: Path | None) -> Problem:
    what = "ConfigMap" if kind == CONFIG_MAPS else "Secret"
    where = f"there is no {place}" if place is not None else "no folder of inputs is given"
    message = f"names the key {reference.key} of the {what} {reference.name}, but {where}"
    return Problem(path, message, "SPEC_INPUT_MISSING")


def _bring(downloader: Downloader, wanted: Download, unfinished: Path) -> None:
    content = downloader.read(wanted.url, limit=LARGEST_DOWNLOAD, repository=wanted.path)
    _check(wanted, content)
    unfinished.write_bytes(content)


def _check(wanted: Download, content: bytes) -> None:
    actual = hashlib.sha256(content).hexdigest()
    if actual != wanted.sha256:
        raise _wrong_digest(wanted, actual)


def _wrong_digest(wanted: Download, actual: str) -> RepositoryError:
    return RepositoryError(
        "DOWNLOAD_WRONG_DIGEST",
        f"{wanted.path}: what {wanted.url} gives has the SHA-256 {actual}, not {wanted.sha256}",
        hint="see whether it has changed, and whether it should have; then give the new digest",
    )
