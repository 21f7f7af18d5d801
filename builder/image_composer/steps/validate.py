"""validate: the user's document becomes spec.json, or a list of everything that is wrong with it."""

from __future__ import annotations

from image_composer.errors import Problem, SpecError
from image_composer.provider import find_manifest
from image_composer.publish.directory import check_destination
from image_composer.spec.document import HINT, read_document
from image_composer.spec.rules import target_problems
from image_composer.steps.build import Build
from image_composer.workspace import NormalisedSpec


def validate(build: Build) -> None:
    """Check the document and write the normalised spec.

    Raises:
        SpecError: with every problem.
        PublishError: what comes out could not be published.
    """
    spec = check_document(build, build.document or b"")
    if build.destination is not None:
        check_destination(build.destination)
    build.workspace.write(build.workspace.spec, spec)


def check_document(build: Build, content: bytes) -> NormalisedSpec:
    """Give the spec of a document that is right in itself and that its distribution can carry out.

    Raises:
        SpecError: with every problem.
    """
    document = read_document(content, build.document_name)
    provider, manifest, _ = find_manifest(build.providers, document.spec, document.path("target"))
    problems = target_problems(document.spec, manifest, document.prefix)
    problems += [
        Problem(document.path(problem.path), problem.message, problem.code)
        for problem in provider.problems(document.spec, manifest)
    ]
    if problems:
        raise SpecError(problems, hint=HINT)
    return NormalisedSpec(path=document.prefix, image=document.spec)
