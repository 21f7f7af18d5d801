"""Metadata compressed with zstd, which the createrepo_c of Debian 12 can't write."""

from __future__ import annotations

import gzip
from pathlib import Path
from xml.etree import ElementTree as ET

from image_composer.digest import bytes_sha256
from image_composer.run import Runner

NAMESPACE = "http://linux.duke.edu/metadata/repo"


def recompress(folder: Path, runner: Runner) -> None:
    """Compress what repomd.xml names anew with zstd.

    Args:
        folder: `repodata`.
        runner: runs zstd.
    """
    ET.register_namespace("", NAMESPACE)
    file = folder / "repomd.xml"
    document = ET.parse(file)
    for entry in document.iter(f"{{{NAMESPACE}}}data"):
        location = entry.find(f"{{{NAMESPACE}}}location")
        assert location is not None
        before = folder.parent / location.attrib["href"]
        content = runner.run(["zstd", "-q", "-9", "-c"], stdin=gzip.decompress(before.read_bytes())).stdout
        before.unlink()
        name = f"{bytes_sha256(content)}-{entry.attrib['type']}.xml.zst"
        (folder / name).write_bytes(content)
        location.set("href", f"repodata/{name}")
        _set(entry, "checksum", bytes_sha256(content))
        _set(entry, "size", str(len(content)))
    document.write(file, encoding="UTF-8", xml_declaration=True)


def _set(entry: ET.Element, tag: str, value: str) -> None:
    found = entry.find(f"{{{NAMESPACE}}}{tag}")
    assert found is not None
    found.text = value
