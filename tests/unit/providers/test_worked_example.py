"""The examples of docs/providers.md work as they stand there, with nothing but the files that it shows."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from image_composer.manifest import Manifest
from support.composer import Composer, Outcome, write_document
from support.debrepo import DebRepository, write_repository
from support.debs import Deb
from support.openpgp import Key, Keychain
from support.rpmrepo import RpmRepository, write_rpm_repository

PAGE = Path(__file__).parents[3] / "docs" / "providers.md"

BLOCK = re.compile(r"```(yaml|toml|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A provider as the page has it."""

    name: str
    manifest: str
    code: str
    spec: str


def examples() -> tuple[Example, Example, str]:
    """Give the example of rpm packages, that of deb packages, and the project file that they share."""
    blocks = [match.groups() for match in BLOCK.finditer(PAGE.read_text())]
    assert [kind for kind, _ in blocks] == ["yaml", "python", "toml", "yaml", "yaml", "python", "yaml"]
    manifest, code, project, spec, deb_manifest, deb_code, deb_spec = (text for _, text in blocks)
    return Example("reef", manifest, code, spec), Example("coast", deb_manifest, deb_code, deb_spec), project


REEF, COAST, PROJECT = examples()


@pytest.fixture(scope="module")
def keychain() -> Iterator[Keychain]:
    with Keychain() as keychain:
        yield keychain


@pytest.fixture(scope="module")
def key(keychain: Keychain) -> Key:
    return keychain.make("owner")


def installed(example: Example, folder: Path, key: Key) -> Composer:
    """Install the provider into a folder, as its project file says, and give a composer that knows it."""
    name = f"{example.name}_provider"
    package = folder / name
    manifest = Manifest.model_validate(yaml.safe_load(example.manifest))
    (package / "keys").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "provider.py").write_text(example.code)
    (package / f"manifest-{manifest.release}.yaml").write_text(example.manifest)
    for file in (file for repository in manifest.repositories for file in repository.keys):
        (package / "keys" / file).write_bytes(key.public)
    project = tomllib.loads(PROJECT.replace("reef", example.name))["project"]
    metadata = folder / f"{name}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    [(group, entries)] = project["entry-points"].items()
    lines = [f"{entry} = {value}\n" for entry, value in entries.items()]
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{''.join(lines)}")
    mirror = f"IMAGE_COMPOSER_MIRROR_{example.name.upper()}"
    return Composer(folder / "cache", {"PYTHONPATH": str(folder), mirror: (folder / "mirror").as_uri()})


def names_of(example: Example) -> set[str]:
    """Give all packages that the example names."""
    manifest = Manifest.model_validate(yaml.safe_load(example.manifest))
    return {
        *manifest.base_packages,
        *(default.name for default in manifest.default_packages),
        *(package.name for profile in manifest.profiles.values() for package in profile.packages),
        *(name for facts in manifest.architectures.values() for name in (facts.kernel_package, *facts.boot_packages)),
        *manifest.initramfs.packages,
        *yaml.safe_load(example.spec)["packages"],
    }


def locked(outcome: Outcome) -> set[str]:
    assert outcome.status == 0, outcome.said
    return {package["name"] for package in json.loads(outcome.printed)["packages"]}


@pytest.mark.parametrize("example", [REEF, COAST], ids=lambda example: example.name)
def test_the_composer_lists_it(example: Example, tmp_path: Path, key: Key) -> None:
    rows = json.loads(installed(example, tmp_path, key).run("providers", "--json").printed)
    [row] = [row for row in rows if row["distribution"] == example.name]
    assert (row["release"], row["title"]) == ("1", yaml.safe_load(example.manifest)["title"])


def test_the_rpm_example_resolves_out_of_a_signed_repository(tmp_path: Path, key: Key, keychain: Keychain) -> None:
    composer = installed(REEF, tmp_path, key)
    repository = RpmRepository([f"{name} 1-1" for name in sorted(names_of(REEF))])
    write_rpm_repository(repository, tmp_path / "mirror" / "1" / "base" / "x86_64", keychain, key)
    chosen = locked(composer.run("lock", "-f", write_document(tmp_path, REEF.spec, "reef.yaml")))
    assert chosen == names_of(REEF) - {"tpm2-tools", "systemd-timesyncd"}


def test_the_deb_example_resolves_out_of_a_signed_repository(tmp_path: Path, key: Key, keychain: Keychain) -> None:
    composer = installed(COAST, tmp_path, key)
    debs = [Deb(name) for name in sorted(names_of(COAST))]
    repository = DebRepository(debs, suite="dune", codename="dune", folder="dune", valid_for=None)
    write_repository(repository, tmp_path / "mirror", keychain, key)
    assert locked(composer.run("lock", "-f", write_document(tmp_path, COAST.spec, "coast.yaml"))) == names_of(COAST)


def test_a_repository_that_another_key_signed_is_refused(tmp_path: Path, key: Key, keychain: Keychain) -> None:
    composer = installed(REEF, tmp_path, key)
    stranger = keychain.make("stranger")
    folder = tmp_path / "mirror" / "1" / "base" / "x86_64"
    write_rpm_repository(RpmRepository(["bash 1-1"]), folder, keychain, stranger)
    assert composer.run("lock", "-f", write_document(tmp_path, REEF.spec, "reef.yaml")).code == "REPO_KEY_UNKNOWN"


def test_the_rule_of_the_deb_example_is_told_with_its_place(tmp_path: Path, key: Key) -> None:
    composer = installed(COAST, tmp_path, key)
    spec = {**yaml.safe_load(COAST.spec), "packages": ["openssh-server", "cron"]}
    outcome = composer.run("validate", write_document(tmp_path, spec))
    assert outcome.status == 2
    assert "packages[1]: Coast Linux 1 (dune) has no cron; write a systemd timer" in outcome.error
