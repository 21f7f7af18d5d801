"""Reading APT's source lists, both forms of sources.list(5), as far as mirrors are concerned."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from image_composer_providers.files import FilesProvider

DISABLED = ("no", "false", "without", "off", "disable", "0")
"""Words that APT takes for no."""

SOURCE_FILES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources")
"""Where APT keeps its sources."""


class AptProvider(FilesProvider):
    """A distribution of packages in deb format: a host that runs it knows a mirror already."""

    def __init__(self, distribution: str, package: str, suites: Mapping[str, str] | None = None) -> None:
        """Take what `FilesProvider` takes, and archives by further names of suites than those of the manifests."""
        super().__init__(distribution, package)
        self._suites = suites or {}

    def host_source_files(self) -> Sequence[str]:
        """Give the files that APT reads its sources from."""
        return SOURCE_FILES

    def host_mirrors(self, os_release: Mapping[str, str], sources: Mapping[str, str]) -> Mapping[str, str]:
        """Give the mirrors of the host's own APT by archive; a suite of another distribution's is not ours."""
        if os_release.get("ID") != self.distribution:
            return {}
        manifests = [self.manifest(release) for release in self.releases()]
        repositories = [facts for manifest in manifests for facts in manifest.repositories]
        archives = {facts.suite: facts.archive for facts in repositories if facts.suite} | dict(self._suites)
        found: dict[str, str] = {}
        for path in sorted(sources):
            for entry in source_entries(path, sources[path]):
                archive = archives.get(entry.suite.strip("/"))
                url = re.sub("^file:/(?!/)", "file:///", entry.url)  # APT takes either
                if archive is not None and url.startswith(("http://", "https://", "file://")):
                    found.setdefault(archive, url.rstrip("/"))
        return found


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One archive and suite that APT is told to use."""

    url: str
    suite: str


def source_entries(path: str, text: str) -> Iterator[SourceEntry]:
    """Give the binary package sources of one file; lines that can't be read are passed over, as they are APT's."""
    if path.endswith(".sources"):
        for stanza in re.split(r"\n\s*\n", text):
            yield from _stanza_entries(stanza)
        return
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", line)
        if match:
            yield SourceEntry(match[1], match[2])


def _stanza_entries(stanza: str) -> Iterator[SourceEntry]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1].isspace():
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
        elif ":" in line:
            name, value = line.split(":", 1)
            name = name.strip().lower()
            fields[name] = value.strip()
    enabled = fields.get("enabled", "yes").lower() not in DISABLED
    if enabled and "deb" in fields.get("types", "").split():
        for url in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield SourceEntry(url, suite)
