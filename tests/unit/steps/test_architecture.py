from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from image_composer.errors import SpecError
from image_composer.root.foreign import Machine
from image_composer.spec.image import Architecture
from image_composer.steps.architecture import check_architecture

BARE = Machine("x86_64", (6, 1), [], lambda _: False, lambda _: None)


def test_an_image_for_another_architecture_is_refused_with_the_reason_and_the_way_out() -> None:
    with pytest.raises(SpecError) as raised:
        check_architecture(Architecture.AARCH64, "spec.image.target.architecture", BARE)
    assert raised.value.code == "SPEC_FOREIGN_ARCHITECTURE"
    assert str(raised.value.problems[0]) == (
        "spec.image.target.architecture: images for aarch64 can't be built here: this machine is x86_64, "
        "the kernel knows of nothing that runs programs of aarch64, and there is no qemu-aarch64-static"
    )
    assert "qemu-user-static" in (raised.value.hint or "")
    assert "nodeSelector kubernetes.io/arch: arm64" in (raised.value.hint or "")


@pytest.mark.parametrize("architecture", list(Architecture))
def test_an_image_for_the_machines_own_architecture_is_not_refused(architecture: Architecture) -> None:
    check_architecture(architecture, "target.architecture", replace(BARE, name=str(architecture)))


def test_an_image_that_an_emulator_can_build_is_not_refused() -> None:
    able = replace(BARE, kernel=(6, 7), emulator=lambda _: Path("/usr/bin/qemu-aarch64-static"))
    check_architecture(Architecture.AARCH64, "target.architecture", able)
