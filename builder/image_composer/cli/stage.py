"""One stage by itself, as a container of a builder pod runs it. Loads little until it is clear that there is work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from image_composer.cli.session import Options, Session, new_build, run_session, with_document
from image_composer.errors import ComposerError
from image_composer.stages import STAGES, run_stage

if TYPE_CHECKING:
    from image_composer.pod.message import PublishedResult

PUBLISHED_FILE = "published.json"
"""As in workspace.py, which takes longer to load than a stage without work may take."""

ALREADY = "already published"


def run_one_stage(
    options: Options, name: str, *, workspace: Path, document: Path | None, output: Path | None, lock: Path | None
) -> NoReturn:
    """Run a stage in a workspace that stays; nothing when what it would lead to is published already."""

    def body(session: Session) -> None:
        published = workspace / PUBLISHED_FILE
        if name != STAGES[0].name and output is None and is_reused(published):
            session.reporter.info(f"{name}: {ALREADY}")
            session.conclusion.note = ALREADY
            if name == "attest":
                session.conclusion.artifacts = read_published(published).artifacts
        else:
            run_in_workspace(session, name, workspace=workspace, document=document, output=output, lock=lock)
        if name == STAGES[-1].name:
            session.conclusion.result = read_published(published)

    run_session(options, body, name=name)


def run_in_workspace(
    session: Session, name: str, *, workspace: Path, document: Path | None, output: Path | None, lock: Path | None
) -> None:
    """Run a stage."""
    from image_composer.cli.workspaces import opened_workspace  # noqa: PLC0415 - see above

    with opened_workspace(workspace, session.settings.cache_dir) as opened:
        current = replace(new_build(session, opened), destination=output, given_lock=lock)
        if document is not None:
            current = with_document(current, document)
        run_stage(current, next(stage for stage in STAGES if stage.name == name))
        if name == "attest":
            from image_composer.steps.publish import attested_files  # noqa: PLC0415 - see above

            session.conclusion.artifacts = attested_files(current)
    session.conclusion.note = session.reporter.conclusions.get(name)


def is_reused(published: Path) -> bool:
    """Say whether what a build would lead to lies at its destination already, so that no stage has anything to do."""
    try:
        return bool(json.loads(published.read_bytes()).get("reused"))
    except FileNotFoundError:
        return False
    except (ValueError, AttributeError):
        raise ComposerError("WORKSPACE_INCOMPLETE", f"{published} is damaged") from None


def read_published(published: Path) -> PublishedResult:
    """Read what lies at the destination."""
    from image_composer.pod.message import PublishedResult  # noqa: PLC0415 - see above

    return PublishedResult.model_validate_json(published.read_bytes())
