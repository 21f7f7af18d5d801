"""Objects of buckets that a document takes: addresses of them, signed by whoever has credentials.

In a pod that is `preflight`, which runs nothing of anybody, and not `fetch`, which opens what strangers wrote: it finds
signed addresses in the workspace. On a laptop `fetch` signs by itself.
"""

from __future__ import annotations

from functools import cached_property

from image_composer.errors import ComposerError
from image_composer.steps.build import Build
from image_composer.store.download import Downloader
from image_composer.store.place import Signed
from image_composer.workspace import InputServer, SignedInputs

READABLE = 0o644
"""Mode of the signed addresses: `fetch` is another user than `preflight`, without the right to read what it may not."""


def sign_inputs(build: Build) -> None:
    """Write down signed addresses for `fetch`; nothing when the image takes nothing out of a bucket.

    Raises:
        InputError: INPUT_CREDENTIALS, INPUT_SERVER.
    """
    wanted = build.spec.image.in_buckets
    if wanted:
        workspace = build.workspace
        workspace.write(workspace.signed_inputs, signed(build, wanted))
        workspace.signed_inputs.chmod(READABLE)


def forget_signed(build: Build) -> None:
    """Take signed addresses away: whoever comes later has no use for them."""
    build.workspace.signed_inputs.unlink(missing_ok=True)


def bucket_downloader(build: Build) -> Downloader:
    """Give a downloader that knows the addresses of objects in buckets too."""
    if not build.spec.image.in_buckets:
        return build.downloader
    return Downloader(build.settings, build.reporter, sign=_Addresses(build).sign)


def signed(build: Build, wanted: dict[str, str]) -> SignedInputs:
    """Sign for all that is wanted.

    Raises:
        InputError: INPUT_CREDENTIALS, INPUT_SERVER.
    """
    from image_composer.publish.s3_sign import sign  # noqa: PLC0415 - boto3 takes long to load

    workspace, settings = build.workspace, build.settings
    given = workspace.read(workspace.input_server, InputServer) if workspace.input_server.exists() else None
    credentials = settings.s3_inputs_credentials if given is not None and given.own else settings.s3_credentials
    addresses = sign(wanted, given.s3 if given else None, credentials)
    return SignedInputs(addresses=addresses, authorities=given.s3.ca_bundle if given else None)


class _Addresses:
    """Signed addresses, found in the workspace or signed when the first is asked for: what is cached needs none."""

    def __init__(self, build: Build) -> None:
        self._build = build

    @cached_property
    def _known(self) -> SignedInputs:
        build = self._build
        file = build.workspace.signed_inputs
        return build.workspace.read(file, SignedInputs) if file.exists() else signed(build, build.spec.image.in_buckets)

    def sign(self, path: str, url: str) -> Signed:
        """Give the address of an object that a field takes."""
        if path not in self._known.addresses:
            raise ComposerError(
                "WORKSPACE_INCOMPLETE", f"{path}: {url} was not signed: the workspace is of another document"
            )
        return Signed(self._known.addresses[path], self._known.authorities)
