"""Publishing to a bucket: files first, read back and compared, and result.json last, which makes the folder complete.

Several may publish into one folder at once, by mistake or because a lost pod still runs. An object is only put where
there is none (`If-None-Match`); what is left of another build is removed first, while the folder has no result. The
first complete result wins. Servers have no transactions: a folder that became complete between that look and the
removal is noticed at the end, by either side, and made anew as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from image_composer.digest import bytes_sha256, file_sha256
from image_composer.errors import PublishError
from image_composer.evidence.result import RESULT_FILE, BuildResult
from image_composer.publish.patience import Patience
from image_composer.publish.s3_client import HURRIED, opened_client
from image_composer.publish.s3_errors import CONFLICT, code_of, publish_error
from image_composer.publish.s3_folder import ABSENT, GONE, BucketFolder, Standing
from image_composer.publish.s3_transfer import AT_ONCE, PART, Body, Uploads, digest_of
from image_composer.report import Reporter
from image_composer.settings import Settings
from image_composer.spec.destination import S3Destination

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

ROUNDS = 3
"""How often the whole is tried when somebody else changes the folder meanwhile."""

RESTARTS = 5
"""How often one object is begun anew when its unfinished upload vanishes."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A finished file, and what it must hash to."""

    path: Path
    sha256: str

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.path.stat().st_size


def publish(
    files: Mapping[str, LocalFile],
    result: Path,
    place: S3Destination,
    folder: str,
    *,
    settings: Settings,
    reporter: Reporter,
) -> Standing:
    """Put files into a folder of a bucket, verify them there, and then the result.

    Args:
        files: the finished files by the name they get.
        result: result.json.
        place: the bucket.
        folder: beginning of the keys, with a slash at its end.
        settings: credentials, patience.
        reporter: for progress.

    Returns:
        What stands there now: our result, or that of somebody who was there before.

    Raises:
        PublishError: says what is stored; the folder is not complete then.
    """
    with opened_client(place, settings, connections=AT_ONCE + 2) as client:
        patience = Patience(place, settings.publish_patience, reporter)
        publication = Publication(BucketFolder(client, place, folder, patience), reporter)
        try:
            return publication.run(files, result)
        except PublishError as error:
            publication.abandon(client)
            raise publication.with_state(error) from error
        except Exception:
            publication.abandon(client)
            raise
        except BaseException:
            with opened_client(place, settings, connections=AT_ONCE + 2, haste=HURRIED) as hurried:
                publication.abandon(hurried)
                publication.withdraw(hurried)
            raise


class Publication:
    """One publication into one folder."""

    def __init__(self, folder: BucketFolder, reporter: Reporter) -> None:
        self._folder, self._reporter = folder, reporter
        self._uploads = Uploads(folder, reporter)
        self._ours: set[str] = set()
        """Names of files that this run has put into the folder, or was about to."""
        self._stored: set[str] = set()
        """Those, and what an earlier try had put there."""

    def run(self, files: Mapping[str, LocalFile], result: Path) -> Standing:
        """Publish.

        Raises:
            PublishError: it was not possible.
        """
        self._abort_unfinished([name for name, file in files.items() if file.size > PART])
        for _ in range(ROUNDS):
            standing = self._folder.standing()
            if standing is not None:
                return standing
            tags: dict[str, str] = {}
            try:
                tags = {name: self._put(name, file) for name, file in files.items()}
                tags = {name: self._verified(name, file, tags[name]) for name, file in files.items()}
                standing = self._complete(result)
            except PublishError as error:
                others = self._folder.standing() if error.code == CONFLICT else None
                if others is None:
                    raise
                standing = others
            if self._is_whole(standing, tags):
                return standing
            self._remove_result(standing)
        raise self._conflict("files change under our hands")

    def _abort_unfinished(self, large: list[str]) -> None:
        """Abort the uploads that earlier tries left unfinished."""
        lists = [self._folder.unfinished(prefix) for prefix in ("", *large)]
        if lists[0] is None:
            self._reporter.warning("the server doesn't list unfinished uploads; those of earlier tries may stay there")
        uploads = {upload: key for found in lists for key, upload in found or ()}
        for upload, key in uploads.items():
            self._folder.abort(key, upload)
        if uploads:
            self._reporter.info(f"aborted what earlier tries left unfinished: {len(uploads)} uploads")

    def _put(self, name: str, file: LocalFile) -> str:
        """See that an object is there, and give its tag."""
        for _ in range(RESTARTS):
            there = self._folder.find(name)
            if there is not None and there.is_copy_of(file.size, file.sha256):
                self._stored.add(name)
                return there.etag
            if there is not None:
                self._clear(name)
            self._ours.add(name)  # an answer that never comes must not hide what the server has done
            try:
                if file.size > PART:
                    tag = self._uploads.send(name, file.path, sha256=file.sha256)
                else:
                    content = partial(Body, file.path.read_bytes(), self._folder.patience.halt)
                    tag = self._folder.put(name, content, sha256=file.sha256)
            except ClientError as error:
                if code_of(error) in GONE:
                    continue  # somebody aborted it; or the server has finished it, and its answer was lost
                self._ours.discard(name)
                found = self._folder.find(name)
                if found is None or not found.is_copy_of(file.size, file.sha256):
                    raise self._conflict(f"{name} was put there meanwhile, with other content") from error
                tag = found.etag
            self._stored.add(name)
            return tag
        raise self._conflict(f"the unfinished upload of {name} vanished {RESTARTS} times")

    def _clear(self, name: str) -> None:
        """Remove what another build has left under a name, unless that build is complete by now."""
        if self._folder.standing() is not None:
            raise self._conflict("it has just finished")
        self._folder.remove(name)

    def _verified(self, name: str, file: LocalFile, tag: str) -> str:
        """Read an object back, compare it with the evidence and give its tag.

        Raises:
            PublishError: PUBLISH_CORRUPTED; the object is removed.
        """
        report = partial(self._reporter.progress, f"verifying {name}")
        try:
            if digest_of(self._folder, name, tag, file.size, report) == file.sha256:
                return tag
        except ClientError as error:
            raise self._conflict(f"{name} was replaced while it was read back") from error
        self._folder.remove(name)
        self._stored.discard(name)
        if name not in self._ours:
            self._reporter.warning(f"{name}, left by an earlier try, is damaged; uploading it again")
            return self._verified(name, file, self._put(name, file))
        raise PublishError(
            "PUBLISH_CORRUPTED",
            f"{name} reads back from the server differently from what the evidence says; it was removed there",
            hint="check the server's disks, this machine's, and what is between them",
            retryable=True,
        )

    def _complete(self, result: Path) -> Standing:
        """Put result.json, unless somebody else has, and give what stands."""
        content, sha256 = result.read_bytes(), file_sha256(result)
        body = partial(Body, content, self._folder.patience.halt)
        try:
            self._folder.put(RESULT_FILE, body, sha256=sha256)
        except ClientError as error:
            standing = self._folder.standing()
            if standing is None:
                raise self._conflict(f"{RESULT_FILE} comes and goes") from error
            # An answer may have been lost: then it is ours that stands there.
            return replace(standing, is_ours=standing.sha256 == sha256)
        return Standing(BuildResult.model_validate_json(content), bytes_sha256(content), is_ours=True)

    def _is_whole(self, standing: Standing, tags: Mapping[str, str]) -> bool:
        """Say whether the files are those of the result.

        Of another's result only those that we have put are looked at: they may have replaced its own.

        Args:
            standing: the result.
            tags: of the files that were seen to be there.
        """
        claimed = standing.result.digests
        found = {name: self._folder.find(name) for name in (tags if standing.is_ours else claimed.keys() & self._ours)}
        if standing.is_ours:
            return all(there is not None and there.etag == tags[name] for name, there in found.items())
        return all(there is not None and there.sha256 == claimed[name] for name, there in found.items())

    def _remove_result(self, standing: Standing) -> None:
        """Remove a result whose files are gone, if it still is that one."""
        there = self._folder.standing()
        if there is not None and there.sha256 == standing.sha256:
            self._folder.remove(RESULT_FILE)

    def abandon(self, client: S3Client) -> None:
        """Leave no upload unfinished, as far as the server lets us; never fails."""
        self._uploads.abandon(client)

    def withdraw(self, client: S3Client) -> None:
        """Remove what this run has put, unless the folder is complete; never fails."""
        folder = self._folder
        with suppress(BotoCoreError, ClientError, HTTPError, ConnectionError):
            if self._ours and not _is_there(client, folder.bucket, folder.key(RESULT_FILE)):
                for name in sorted(self._ours):
                    client.delete_object(Bucket=folder.bucket, Key=folder.key(name))

    def with_state(self, error: PublishError) -> PublishError:
        """Give an error that also says what is stored, and what trying again would do."""
        count = len(self._stored)
        stored = f"{count} file{'s are' if count != 1 else ' is'} stored" if count else "no finished file is stored"
        state = f"{stored} in {self._folder.uri}, and no {RESULT_FILE}: nothing is published"
        again = "trying again is safe and keeps what is there" if count else "trying again is safe"
        message = f"{error.message}\n{state}; {again}"
        return publish_error(error.code, message, hint=error.hint, retryable=error.retryable)

    def _conflict(self, reason: str) -> PublishError:
        return PublishError(
            CONFLICT,
            f"somebody else publishes to {self._folder.uri} at this moment: {reason}",
            hint="find out who: an ImageBuild has one running Job at most",
            retryable=True,
        )


def _is_there(client: S3Client, bucket: str, key: str) -> bool:
    try:
        client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if code_of(error) in ABSENT:
            return False
        raise
    return True
