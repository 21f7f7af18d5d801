"""What commands make of what they know, before they print it."""

from __future__ import annotations

import pytest

from image_composer.cli.commands import profile_names, provider_row
from image_composer.manifest import Profile
from image_composer_providers.debian.provider import PROVIDER


@pytest.mark.parametrize(
    ("names", "default", "shown"),
    [
        ((), None, []),
        (("edge", "cloud"), None, ["cloud", "edge"]),
        (("edge", "minimal", "cloud"), "minimal", ["minimal", "cloud", "edge"]),
    ],
)
def test_the_default_profile_comes_first(names: tuple[str, ...], default: str | None, shown: list[str]) -> None:
    profiles = {name: Profile(title=f"for {name}") for name in names}
    release = PROVIDER.manifest("12").model_copy(update={"profiles": profiles, "default_profile": default})
    assert profile_names(release) == shown
    assert provider_row(release)["profiles"] == {name: f"for {name}" for name in names}
    assert provider_row(release)["defaultProfile"] == default
