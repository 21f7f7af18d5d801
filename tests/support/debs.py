"""Small deb packages, made with dpkg-deb, and paragraphs that describe packages nobody made."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from image_composer.digest import bytes_sha256, file_sha256

EPOCH = "1700000000"
"""Time of everything in the packages, in seconds since 1970."""


@dataclass(frozen=True)
class Deb:
    """A package to be made."""

    name: str
    version: str = "1.0"
    depends: str = ""
    architecture: str = "all"
    fields: Mapping[str, str] = field(default_factory=dict)
    """Further control fields, for example `{"Provides": "mail-transport-agent"}`."""

    files: Mapping[str, str | bytes] = field(default_factory=dict)
    """Content by path in the package, for example `{"usr/bin/tool": "#!/bin/sh\\n"}`."""

    scripts: Mapping[str, str] = field(default_factory=dict)
    """Maintainer scripts by name, for example `{"postinst": "#!/bin/sh\\n"}`."""

    executable: frozenset[str] = frozenset()
    """Those of the files that are programs."""

    def control(self) -> str:
        """Give the control file."""
        own = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": "Nobody <nobody@example.org>",
            "Depends": self.depends,
            **self.fields,
            "Description": f"{self.name} for tests\n Made where it is used.",
        }
        return "".join(f"{name}: {value}\n" for name, value in own.items() if value)


def make_deb(deb: Deb, folder: Path) -> Path:
    """Make a package file in a folder; the same package always gives the same bytes."""
    tree = folder / f".{deb.name}_{deb.version}_{deb.architecture}"
    control = tree / "DEBIAN"
    control.mkdir(parents=True)
    (control / "control").write_text(deb.control())
    for name, script in deb.scripts.items():
        (control / name).write_text(script)
        (control / name).chmod(0o755)
    for path, content in deb.files.items():
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(0o755 if path in deb.executable else 0o644)
    made = folder / f"{deb.name}_{deb.version.replace(':', '%3a')}_{deb.architecture}.deb"
    argv = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(made)]
    subprocess.run(argv, check=True, capture_output=True, env={"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": EPOCH})
    subprocess.run(["rm", "-r", str(tree)], check=True)
    return made


def paragraph_of(deb: Deb, file: Path, path: str) -> str:
    """Give a made package's paragraph for an index."""
    listed = f"Filename: {path}\nSize: {file.stat().st_size}\nSHA256: {file_sha256(file)}\n"
    return deb.control() + listed


def paragraph(name: str, version: str = "1.0", **fields: str) -> str:
    """Give the paragraph of a package that only an index knows; `pre_depends` stands for Pre-Depends."""
    own = {
        "Package": name,
        "Version": version,
        "Architecture": "all",
        "Installed-Size": "10",
        "Filename": f"pool/{name}_{version}_all.deb",
        "Size": "1000",
        "SHA256": bytes_sha256(f"{name} {version}".encode()),
    }
    given = {key.replace("_", "-").title().replace("Sha256", "SHA256"): value for key, value in fields.items()}
    return "".join(f"{key}: {value}\n" for key, value in {**own, **given}.items() if value)


def index(*paragraphs: str) -> bytes:
    """Give a Packages file."""
    return "\n".join(paragraphs).encode()
