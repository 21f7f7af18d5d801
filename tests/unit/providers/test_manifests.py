from __future__ import annotations

import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from image_composer.manifest import Family, Manifest
from image_composer.provider import Provider, load_providers
from image_composer.spec.rules import spec_problems
from image_composer.spec.rules_target import target_problems
from support.specs import image_spec

Case = tuple[Provider, Manifest]

PROVIDERS = load_providers()
CASES = [(name, release) for name, provider in PROVIDERS.items() for release in provider.releases()]


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest) -> Case:
    name, release = request.param
    return PROVIDERS[name], PROVIDERS[name].manifest(release)


def test_the_distributions_of_the_architecture_are_there() -> None:
    assert {("azurelinux", "3.0"), ("emt", "3.0"), ("elxr", "12"), ("debian", "12"), ("debian", "13")} <= set(CASES)


def test_a_manifest_names_its_distribution_and_release(case: Case) -> None:
    provider, manifest = case
    assert isinstance(provider, Provider)
    assert manifest.distribution == provider.distribution
    assert manifest.release in provider.releases()


def test_what_a_manifest_keeps_by_architecture_is_complete(case: Case) -> None:
    _, manifest = case
    assert set(manifest.architectures) == set(manifest.boot_files)
    for places in manifest.boot_files.values():
        assert "{kernel}" in places.kernel
        assert all(path.startswith("/") for path in (places.kernel, places.stub, places.loader))


def test_grub_is_there_for_a_bios_where_there_is_one(case: Case) -> None:
    _, manifest = case
    for architecture, facts in manifest.architectures.items():
        if facts.grub is None:
            assert manifest.distribution == "emt", "which has none that is known"
            continue
        assert bool(facts.grub.bios_packages) == (architecture == "x86_64")
        assert "{kernel}" in facts.grub.initrd
        assert facts.grub.folder.startswith("/boot/")


def test_names_in_a_manifest_are_there_once(case: Case) -> None:
    _, manifest = case
    always = [*manifest.base_packages, *(default.name for default in manifest.default_packages)]
    for profile in manifest.profiles.values():
        packages = [*always, *(package.name for package in profile.packages)]
        assert len(packages) == len(set(packages))
    for names in (
        [repository.id for repository in manifest.repositories],
        [file.path for file in manifest.files],
        [unit.name for unit in manifest.units],
    ):
        assert len(names) == len(set(names))


def test_the_minimal_profile_is_the_default_and_adds_nothing(case: Case) -> None:
    _, manifest = case
    assert manifest.default_profile == "minimal"
    assert manifest.profiles["minimal"].packages == []
    assert "openssh-server" in {package.name for package in manifest.profiles["edge"].packages}


def test_the_default_layout_obeys_the_rules_for_layouts(case: Case) -> None:
    provider, manifest = case
    spec = image_spec(
        target={"distribution": manifest.distribution, "release": manifest.release},
        disk={"partitions": [partition.model_dump(mode="json") for partition in manifest.partitions]},
    )
    assert spec_problems(spec, "", frozenset()) == []
    assert target_problems(spec, manifest, "") == []
    assert not provider.problems(spec, manifest)


def test_units_of_our_own_are_written_before_they_are_enabled(case: Case) -> None:
    _, manifest = case
    written = {Path(file.path).name: file.requires for file in manifest.files if file.path.endswith(".service")}
    enabled = {unit.name: unit.requires for unit in manifest.units}
    assert written.items() <= enabled.items()


def test_host_keys_are_made_on_the_machine_itself(case: Case) -> None:
    _, manifest = case
    assert [unit for unit in manifest.units if unit.name == "ssh-host-keys.service"]


def test_every_key_can_be_read_and_can_sign(case: Case, tmp_path: Path) -> None:
    provider, manifest = case
    for name in sorted({key for repository in manifest.repositories for key in repository.keys}):
        shown = subprocess.run(
            ["gpg", "--homedir", tmp_path, "--batch", "--no-tty", "--with-colons", "--show-keys"],
            input=provider.key(name),
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout.decode()
        keys = [line.split(":") for line in shown.splitlines() if line.startswith(("pub:", "sub:"))]
        assert any("s" in fields[11] for fields in keys) or all(fields[1] == "e" for fields in keys), name
        assert not [line for line in shown.splitlines() if line.startswith("sec:")], name


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_key_file_is_used(name: str) -> None:
    provider = PROVIDERS[name]
    manifests = [provider.manifest(release) for release in provider.releases()]
    used = {key for manifest in manifests for fact in manifest.repositories for key in fact.keys}
    folder = files(f"image_composer_providers.{name}") / "keys"
    assert {entry.name for entry in folder.iterdir()} == used if folder.is_dir() else not used


def test_what_is_signed_is_what_each_vendor_signs() -> None:
    signed = {
        name: {str(fact.signed) for fact in PROVIDERS[name].manifest("3.0").repositories}
        for name in ("azurelinux", "emt")
    }
    assert signed == {"azurelinux": {"metadata-and-packages"}, "emt": {"packages"}}


def test_read_only_roots_are_what_each_kernel_can_mount() -> None:
    azure, emt = (PROVIDERS[name].manifest("3.0").read_only_filesystems for name in ("azurelinux", "emt"))
    assert "zstd" not in azure["squashfs"]
    assert "zstd" in emt["squashfs"]
    assert "erofs" not in emt
    assert {manifest.family for _, manifest in map(_case, CASES) if manifest.release == "3.0"} == {Family.RPM}


def _case(case: tuple[str, str]) -> Case:
    return PROVIDERS[case[0]], PROVIDERS[case[0]].manifest(case[1])
