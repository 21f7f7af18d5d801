"""validate: the user's document becomes spec.json, or a list of everything that is wrong with it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from image_composer.digest import file_sha256
from image_composer.errors import Problem, RepositoryError, SpecError
from image_composer.provider import find_manifest
from image_composer.publish.directory import check_destination
from image_composer.repository.keyring import keyring
from image_composer.root.foreign import this_machine
from image_composer.signing.key import check_key, no_key
from image_composer.spec.certificate import read_pem
from image_composer.spec.document import HINT, Document, Placement, read_document, read_placement
from image_composer.spec.location import content_digest, folder_key
from image_composer.spec.rules_target import target_problems
from image_composer.steps.architecture import check_architecture
from image_composer.steps.build import Build
from image_composer.steps.inputs import check_inputs
from image_composer.steps.trees import copy_folders
from image_composer.workspace import InputServer, NormalisedSpec, PublishPlace


def validate(build: Build) -> None:
    """Check the document and write the normalised spec, and where its results go.

    Raises:
        SpecError: with every problem.
        PublishError: what comes out could not be published.
    """
    workspace, content = build.workspace, build.document or b""
    told = (workspace.spec, workspace.destination, workspace.input_server)
    for former in (*told, workspace.signed_inputs, workspace.published):
        former.unlink(missing_ok=True)
    if build.destination is None:
        with suppress(SpecError):  # it is told with everything else, below
            # Before the rest is looked at: the log of a build whose image is wrong is wanted there as well.
            placement = read_placement(content, build.document_name)
            if placement is not None:
                write_place(build, placement)
    document, spec = check_document(build, content)
    if build.destination is None and document.request.destination is not None:
        placement = Placement(document.request.destination.s3, document.namespace, document.name)
        write_place(build, placement, folder_of(build, document, placement))
    server = input_server(document)
    if server is not None:
        workspace.write(workspace.input_server, server)
    place = build.place
    if isinstance(place, Path):
        check_destination(place)
    copy_folders(build, spec)
    workspace.write(workspace.spec, spec)


def write_place(build: Build, placement: Placement, folder: str | None = None) -> None:
    """Write where in a bucket the results go."""
    place = PublishPlace(s3=placement.s3, namespace=placement.namespace, name=placement.name, folder=folder)
    build.workspace.write(build.workspace.destination, place)


def input_server(document: Document) -> InputServer | None:
    """Give where `s3://` addresses of the image are; nothing when there are none, or only this machine knows."""
    request = document.request
    if not document.spec.in_buckets:
        return None
    if request.inputs is not None:
        return InputServer(s3=request.inputs.s3, own=True)
    return InputServer(s3=request.destination.s3.server, own=False) if request.destination is not None else None


def check_document(build: Build, content: bytes) -> tuple[Document, NormalisedSpec]:
    """Give a document that is right in itself and that its distribution can carry out, and its spec.

    Raises:
        SpecError: with every problem.
    """
    document = read_document(content, build.document_name, build.surroundings)
    try:
        check_feasible(build, document)
    except SpecError as error:
        raise SpecError([document.located(problem) for problem in error.problems], hint=error.hint) from error
    return document, NormalisedSpec(path=document.prefix, image=document.spec)


def check_feasible(build: Build, document: Document) -> None:
    """See whether a document that is right in itself can be carried out.

    Raises:
        SpecError: with what can't.
    """
    provider, manifest, _ = find_manifest(build.providers, document.spec, document.path("target"))
    problems = target_problems(document.spec, manifest, document.prefix)
    problems += [
        Problem(document.path(problem.path), problem.message, problem.code)
        for problem in provider.problems(document.spec, manifest)
    ]
    problems += unreadable_keys(document)
    if problems:
        raise SpecError(problems, hint=HINT)
    if build.stands_alone:
        check_architecture(document.spec.target.architecture, document.path("target.architecture"), this_machine())
    named_lock(build, document)
    check_inputs(build, document)
    secure_boot(build, document)


def unreadable_keys(document: Document) -> list[Problem]:
    """Give what is wrong with the keys of updates, which would be found out after all packages are installed."""
    update = document.spec.immutable.update
    if update is None or update.key is None:
        return []
    try:
        keyring([update.key.encode()], "of updates")
    except RepositoryError:
        return [Problem(document.path("immutable.update.key"), "is not an OpenPGP public key that can be read")]
    return []


def named_lock(build: Build, document: Document) -> None:
    """See to it that a lock named in the document is not silently passed over.

    Raises:
        SpecError: SPEC_LOCK_ELSEWHERE.
    """
    lock = document.request.lock_ref
    if lock is None or build.given_lock is not None or not build.stands_alone:
        return
    message = f"names the ConfigMap {lock.name}, which only a cluster can read; packages would be resolved anew"
    key = lock.key.replace(".", "\\.")
    raise SpecError(
        [Problem("spec.lockRef", message, "SPEC_LOCK_ELSEWHERE")],
        hint=f"fetch it ('kubectl get configmap {lock.name} -o jsonpath=\"{{.data.{key}}}\" > lock.json') and give"
        " --lock lock.json, or take lockRef out",
    )


def secure_boot(build: Build, document: Document) -> None:
    """See whether the key signs for the certificate, where there is a key: in a cluster only `attest` has it.

    Raises:
        SigningError: the key is missing, or not that of the certificate.
    """
    if document.spec.secure_boot is None:
        return
    certificate = read_pem(document.spec.secure_boot.certificate)
    if not certificate.not_before <= build.started_at <= certificate.not_after:
        span = f"from {certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
        build.reporter.warning(f"the certificate {certificate.subject} is valid {span}; firmware doesn't look at that")
    if build.settings.secure_boot_key is not None:
        check_key(build.settings.secure_boot_key, certificate, tools=build.runner)
    elif build.stands_alone:
        raise no_key(document.path("secureBoot"))


def folder_of(build: Build, document: Document, placement: Placement) -> str:
    """Give where in its bucket the results of a document lie."""
    lock = build.given_lock
    digest = content_digest(
        document.spec,
        file_sha256(lock) if lock is not None and lock.is_file() else None,
        build.started_at.isoformat() if document.request.build.force else None,
    )
    version = document.spec.version
    return folder_key(placement.s3, placement.namespace, placement.name, version=version, digest=digest)
