"""The pages about distributions and mirrors name all that there is."""

from __future__ import annotations

import re
from pathlib import Path

from image_composer.cli.commands import profile_names
from image_composer.provider import load_providers

DOCS = Path(__file__).parents[3] / "docs"

MANIFESTS = [provider.manifest(release) for provider in load_providers().values() for release in provider.releases()]


def rows(page: str, header: str) -> list[list[str]]:
    """Give the cells of the table below a header."""
    table = (DOCS / page).read_text().split(header)[1].split("\n\n")[0]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_mirrors_page_names_every_archive_with_its_public_address() -> None:
    told = {(archive, url) for archive, _, url in rows("mirrors.md", "| Archive | Distribution | Stands instead of |")}
    assert told == {(fact.archive, fact.url) for manifest in MANIFESTS for fact in manifest.repositories}


def test_the_distributions_page_names_every_release_with_its_profiles() -> None:
    header = "| Distribution | Family | Releases | Profiles | Keys |"
    told = {
        (name, family, release, profiles)
        for name, family, releases, profiles, _ in rows("providers.md", header)
        for release in re.split(", ", releases)
    }
    assert told == {
        (manifest.distribution, str(manifest.family), manifest.release, ", ".join(profile_names(manifest)))
        for manifest in MANIFESTS
    }
