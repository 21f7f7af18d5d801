"""Where this machine's own package manager gets Debian from: tests with the network use the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
"""Keys of Debian's archives; package debian-archive-keyring."""

ONE_LINE = re.compile(r"^deb\s+(?:\[[^\]]*\]\s+)?(?P<url>\S+)\s+(?P<suite>\S+)", re.MULTILINE)


def mirrors(environment: Mapping[str, str], folder: Path = Path("/etc/apt")) -> dict[str, str]:
    """Give base URLs of the archives `debian` and `debian-security`, as far as they are known.

    Args:
        environment: IMAGE_COMPOSER_MIRROR_DEBIAN and IMAGE_COMPOSER_MIRROR_DEBIAN_SECURITY win.
        folder: APT's configuration.
    """
    found: dict[str, str] = {}
    for url, suites in _sources(folder):
        for suite in suites:
            archive = "debian-security" if suite.rstrip("/").endswith(("-security", "/updates")) else "debian"
            if url.rstrip("/").endswith(f"/{archive}"):
                found.setdefault(archive, url.rstrip("/"))
    for archive, name in (("debian", "DEBIAN"), ("debian-security", "DEBIAN_SECURITY")):
        given = environment.get(f"IMAGE_COMPOSER_MIRROR_{name}")
        if given:
            found[archive] = given.rstrip("/")
    return found


def _sources(folder: Path) -> list[tuple[str, list[str]]]:
    """Give URL and suites of every source, in both of APT's forms."""
    found = []
    for file in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]:
        if file.exists():
            found += [(match["url"], [match["suite"]]) for match in ONE_LINE.finditer(file.read_text())]
    for file in sorted((folder / "sources.list.d").glob("*.sources")):
        for paragraph in file.read_text().split("\n\n"):
            lines = [line.partition(":") for line in paragraph.splitlines() if not line.startswith("#")]
            fields = {name.strip().lower(): value.split() for name, _, value in lines}
            if "deb" in fields.get("types", []) and fields.get("enabled", ["yes"]) != ["no"]:
                found += [(url, fields.get("suites", [])) for url in fields.get("uris", [])]
    return found
