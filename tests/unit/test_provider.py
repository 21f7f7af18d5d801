"""How distributions are found, by entry points as installed packages declare them, and what a target must name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from image_composer.errors import SpecError
from image_composer.provider import find_manifest, load_providers
from support.specs import image_spec

LISTING = """
import json
from image_composer.errors import ComposerError
from image_composer.provider import load_providers
try:
    found = {name: [provider.distribution, *provider.releases()] for name, provider in load_providers().items()}
    print(json.dumps(found))
except ComposerError as error:
    print(json.dumps([error.code, error.message, error.hint]))
"""

PROVIDER = """
class Tiny:
    distribution = "tiny"
    def releases(self): return ("1",)
    def manifest(self, release): raise NotImplementedError
    def key(self, name): return b""
    def host_mirrors(self, os_release, sources): return {}
    def host_source_files(self): return ()
    def problems(self, spec, manifest): return ()

PROVIDER = Tiny()
NOT_ONE = object()

class Other(Tiny):
    distribution = "debian"

OTHER = Other()
"""


def listing(folder: Path, target: str, name: str = "tiny") -> object:
    """Install a package that brings a provider, and give what a new process then finds."""
    (folder / "tiny_provider.py").write_text(PROVIDER)
    (folder / "broken_provider.py").write_text("import a_module_that_is_missing\n")
    info = folder / "tiny_provider-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-provider\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[image_composer.providers]\n{name} = {target}\n")
    done = subprocess.run(
        [sys.executable, "-c", LISTING],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def test_a_provider_of_a_third_party_is_found_once_it_is_installed(tmp_path: Path) -> None:
    found = listing(tmp_path, "tiny_provider:PROVIDER")
    assert isinstance(found, dict)
    assert found["tiny"] == ["tiny", "1"]
    assert "debian" in found


@pytest.mark.parametrize(
    ("target", "name", "message"),
    [
        ("broken_provider:PROVIDER", "tiny", "can't be loaded: No module named 'a_module_that_is_missing'"),
        ("tiny_provider:MISSING", "tiny", "can't be loaded: module 'tiny_provider' has no attribute 'MISSING'"),
        ("tiny_provider:NOT_ONE", "tiny", "tiny_provider:NOT_ONE is not a provider"),
        ("tiny_provider:Tiny", "tiny", "tiny_provider:Tiny is not a provider"),
        ("tiny_provider:PROVIDER", "huge", "the provider huge (tiny_provider:PROVIDER) calls itself 'tiny'"),
        ("tiny_provider:OTHER", "debian", "the provider debian is brought by two packages"),
    ],
)
def test_a_broken_provider_is_named(tmp_path: Path, target: str, name: str, message: str) -> None:
    found = listing(tmp_path, target, name)
    assert isinstance(found, list)
    code, said, hint = found
    assert code == "PROVIDER_BROKEN"
    assert message in said
    assert "uninstall or repair" in hint


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (
            {"distribution": "beos", "release": "12"},
            "image.target.distribution: 'beos' is not a known distribution; known: debian, emt",
        ),
        (
            {"distribution": "debian", "release": "3.1"},
            "image.target.release: '3.1' is not a known release of debian; known: 12, 13",
        ),
        (
            {"distribution": "emt", "release": "3.0", "architecture": "aarch64"},
            "image.target.architecture: 'aarch64' is not a known architecture of Edge Microvisor Toolkit 3.0; "
            "known: x86_64",
        ),
    ],
)
def test_a_target_that_nobody_brings_is_named_with_what_is_known(target: dict[str, str], expected: str) -> None:
    providers = {name: load_providers()[name] for name in ("debian", "emt")}
    with pytest.raises(SpecError) as caught:
        find_manifest(providers, image_spec(target=target), "image.target")
    assert [(str(problem), problem.code) for problem in caught.value.problems] == [(expected, "SPEC_UNKNOWN_TARGET")]
    assert "image-composer providers" in (caught.value.hint or "")


def test_a_target_leads_to_provider_manifest_and_architecture() -> None:
    providers = load_providers()
    provider, manifest, facts = find_manifest(providers, image_spec(), "target")
    assert (provider, manifest.release) == (providers["debian"], "12")
    assert facts.package_architecture == "amd64"
