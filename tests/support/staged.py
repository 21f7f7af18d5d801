"""Builds in the middle, for tests of what one stage does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from image_composer.provider import load_providers
from image_composer.report import Reporter
from image_composer.run import Runner
from image_composer.settings import Settings
from image_composer.steps.build import Build
from image_composer.workspace import NormalisedSpec, Workspace
from support.events import Recorded
from support.specs import image_spec


def build(place: Path, *, given: Path | None = None, **fields: Any) -> Build:
    """Give a build whose document was validated, with fields of the image as in JSON."""
    place.mkdir(exist_ok=True)
    workspace = Workspace(place)
    workspace.write(workspace.spec, NormalisedSpec(path="spec.image", image=image_spec(**fields)))
    return Build(
        workspace=workspace,
        settings=Settings(cache_dir=place / "cache", retries=1, inputs=given),
        reporter=Reporter(Recorded()),
        runner=Runner(),
        providers=load_providers(),
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        host_os_release={},
        host_sources={},
    )
