"""What a machine gets to update itself: held against the names that the next version's files have."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from configparser import ConfigParser
from typing import Any
from uuid import UUID

import pytest

from image_composer.formats.naming import kernel_name, output_name
from image_composer.root.update import FOLDER, KEYRING, update_operations, with_image_version
from image_composer.spec.disk import Partition
from image_composer.spec.image import ImageSpec
from image_composer.spec.outputs import PARTS, Compression, Output, OutputFormat
from support.openpgp import Keychain
from support.specs import PARTITIONS, image_spec

ID = UUID("57ec99d2-def6-5e66-bc86-43546cd302b4")
WILDCARDS = {
    "@v": r"(?P<v>[0-9A-Za-z.-]+)",
    "@u": r"(?P<u>[0-9a-f-]{36})",
    "@l": "(?P<l>[0-9]+)",
    "@d": "(?P<d>[0-9]+)",
}
TRANSFERS = {
    OutputFormat.ROOT_VERITY: "10-root-verity",
    OutputFormat.ROOT: "20-root",
    OutputFormat.UKI: "30-uki",
}


def updated(version: str = "1.0", **update: Any) -> ImageSpec:
    given = {"url": "https://example.org/edge%20one", "verify": "none", **update}
    return image_spec(name="edge.gate-1", version=version, mutability="immutable", immutable={"update": given})


def files(spec: ImageSpec) -> dict[str, bytes]:
    partitions = [Partition.model_validate(partition) for partition in PARTITIONS]
    assert spec.immutable.update is not None
    found = update_operations(spec, spec.immutable.update, partitions)
    return {operation["path"]: base64.b64decode(operation["content"]) for operation in found}


def transfer(spec: ImageSpec, part: OutputFormat) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=True)
    # configparser documents this assignment.
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(files(spec)[f"{FOLDER}/{TRANSFERS[part]}.transfer"].decode())
    return parser


def found_by(patterns: str, name: str) -> dict[str, str] | None:
    for pattern in patterns.split():
        expression = "".join(WILDCARDS.get(word, re.escape(word)) for word in re.split("(@[a-z])", pattern))
        if match := re.fullmatch(expression, name):
            return match.groupdict()
    return None


@pytest.mark.parametrize("part", sorted(PARTS))
@pytest.mark.parametrize("compression", [Compression.NONE, Compression.XZ, Compression.GZIP])
def test_a_machine_finds_the_next_version_and_its_partition_s_id(part: OutputFormat, compression: Compression) -> None:
    name = output_name(updated("2.0-rc1"), Output(format=part, compression=compression), ID)
    found = found_by(transfer(updated("1.0"), part)["Source"]["MatchPattern"], name)
    assert found == ({"v": "2.0-rc1"} if part is OutputFormat.UKI else {"v": "2.0-rc1", "u": str(ID)})


@pytest.mark.parametrize("part", sorted(PARTS))
def test_no_part_is_taken_for_another_s_or_another_image_s(part: OutputFormat) -> None:
    patterns = transfer(updated(), part)["Source"]["MatchPattern"]
    others = [output_name(updated(), Output(format=other), ID) for other in OutputFormat if other is not part]
    others.append(output_name(image_spec(name="edge.gate", version="1-1"), Output(format=part), ID))
    assert [name for name in others if found_by(patterns, name)] == []


def test_the_version_that_runs_is_known_and_protected() -> None:
    target = transfer(updated(), OutputFormat.UKI)
    assert found_by(target["Target"]["MatchPattern"], kernel_name(updated("1.0"))) == {"v": "1.0"}
    assert found_by(target["Target"]["MatchPattern"], "edge.gate-1_1.1+3-0.efi") == {"v": "1.1", "l": "3", "d": "0"}
    for part in PARTS:
        assert transfer(updated(), part)["Transfer"]["ProtectVersion"] == "%A"


def test_the_kernel_comes_last() -> None:
    names = sorted(path for path in files(updated()) if path.startswith(FOLDER))
    assert names[-1].endswith("uki.transfer")


def test_a_url_s_percent_signs_are_not_taken_for_specifiers() -> None:
    assert transfer(updated(), OutputFormat.ROOT)["Source"]["Path"] == "https://example.org/edge%%20one"


def test_only_the_user_s_keys_are_believed(pgp_key: str) -> None:
    signed = updated(verify="signature", key=pgp_key)
    assert [transfer(signed, part)["Transfer"]["Verify"] for part in PARTS] == ["yes"] * 3
    assert files(signed)[KEYRING][0] & 0x80  # gpg reads binary keyrings only
    assert transfer(updated(), OutputFormat.ROOT)["Transfer"]["Verify"] == "no"
    assert KEYRING not in files(updated())


@pytest.fixture(scope="module")
def pgp_key() -> Iterator[str]:
    with Keychain() as keychain:
        yield keychain.make("updates").public.decode()


def test_the_image_s_own_version_takes_the_place_of_a_former_one() -> None:
    text = 'ID=debian\nIMAGE_VERSION=0.9\nVERSION_ID="13"\n'
    assert with_image_version(text, updated("1.0")) == (
        'ID=debian\nVERSION_ID="13"\nIMAGE_ID="edge.gate-1"\nIMAGE_VERSION="1.0"\n'
    )
