"""apt with folders of its own: what it would install into an empty root, whatever this machine has."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

CONFIGURATION = """\
Dir "/";
Dir::Etc "{root}/etc";
Dir::Etc::Main "none";
Dir::Etc::SourceList "sources.list";
Dir::Etc::SourceParts "none";
Dir::Etc::Preferences "none";
Dir::Etc::PreferencesParts "none";
Dir::Etc::Parts "none";
Dir::State "{root}/state";
Dir::State::Status "/dev/null";
Dir::Cache "{root}/cache";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
"""

TO_FETCH = re.compile(r"^'[^']+' (?P<name>[^_\s]+)_(?P<version>[^_\s]+)_[a-z0-9]+\.deb ", re.MULTILINE)


class AptRoot:
    """An apt that knows some sources and an empty root."""

    def __init__(self, root: Path, sources: Sequence[str]) -> None:
        for folder in ("etc/apt.conf.d", "state/lists/partial", "cache/archives/partial"):
            (root / folder).mkdir(parents=True)
        (root / "etc" / "sources.list").write_text("".join(f"{source}\n" for source in sources))
        self._configuration = root / "apt.conf"
        self._configuration.write_text(CONFIGURATION.format(root=root))

    def update(self) -> None:
        """Fetch the indexes."""
        self._run("update", "--error-on=any")

    def choice(self, names: Sequence[str], *, recommends: bool) -> set[tuple[str, str]]:
        """Give name and version of what would be installed.

        Asked for by what would have to be fetched, which is all of it in an empty root: `--simulate` goes on to find an
        order for dpkg, which takes ten times as long.
        """
        option = "--install-recommends" if recommends else "--no-install-recommends"
        shown = self._run("install", "--print-uris", option, *names)
        return {(match["name"], unquote(match["version"])) for match in TO_FETCH.finditer(shown)}

    def _run(self, *arguments: str) -> str:
        environment = {"APT_CONFIG": str(self._configuration), "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        done = subprocess.run(
            ["apt-get", "--quiet=2", *arguments], check=False, capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout
