"""The operator's settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from image_composer.errors import SpecError
from image_composer_operator.main import cli
from image_composer_operator.settings import check_settings

MINIMAL = {"builderImage": "builder:1"}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"builderImage": ""}, "builderImage"),
        ({"workers": 0}, "workers"),
        ({"colour": "red"}, "colour"),
        ({"mirrors": {"Debian": "https://mirror.example"}}, "mirrors.Debian"),
        ({"mirrors": {"debian": "mirror.example"}}, "mirrors.debian"),
        ({"keys": {"elxr": "/etc/keys/elxr.asc"}}, "keys.elxr"),
        ({"keys": {"elxr-": "-----BEGIN PGP PUBLIC KEY BLOCK-----"}}, "keys.elxr-"),
        ({"defaults": {"build": {"timeout": "soon"}}}, "defaults.build.timeout"),
        ({"defaults": {"destination": {"s3": {}}}}, "defaults.destination.s3.bucket"),
        ({"namespaces": ["no name"]}, "namespaces[0]"),
        ({"allowedHostPaths": ["relative"]}, "allowedHostPaths[0]"),
        ({"logLevel": "loud"}, "logLevel"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(changes: dict[str, object], path: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_settings({**MINIMAL, **changes})
    assert path in [problem.path for problem in caught.value.problems]


def test_a_file_that_can_not_be_used_is_told_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    runner = CliRunner()
    missing = runner.invoke(cli, ["run", "--settings", str(file)])
    file.write_text("builderImage: [1\n")
    malformed = runner.invoke(cli, ["run", "--settings", str(file)])
    assert (missing.exit_code, malformed.exit_code) == (1, 1)
    assert "No such file" in missing.output
    assert "is not valid YAML" in malformed.output


def test_the_command_prints_the_crd() -> None:
    printed = CliRunner().invoke(cli, ["crd"])
    assert printed.exit_code == 0
    assert "name: imagebuilds.imagecomposer.dev" in printed.output
