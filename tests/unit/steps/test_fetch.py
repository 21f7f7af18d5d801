from __future__ import annotations

import pytest

from image_composer.errors import SpecError
from image_composer.steps.fetch import check_architecture
from image_composer.workspace import NormalisedSpec
from support.specs import image_spec


def spec(architecture: str) -> NormalisedSpec:
    target = {"distribution": "azurelinux", "release": "3.0", "architecture": architecture}
    return NormalisedSpec(path="spec.image", image=image_spec(target=target))


def test_an_image_for_another_architecture_is_refused_before_anything_is_fetched() -> None:
    with pytest.raises(SpecError) as raised:
        check_architecture(spec("aarch64"), "x86_64")
    assert str(raised.value.problems[0]) == (
        "spec.image.target.architecture: images for aarch64 can't be built here: this machine is x86_64"
    )
    assert "nodeSelector" in (raised.value.hint or "")


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_an_image_for_the_machine_s_own_architecture_is_not_refused(architecture: str) -> None:
    check_architecture(spec(architecture), architecture)
