"""Small rpm packages, made with rpmbuild and signed with rpmsign, and what rpm itself thinks of packages."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from support.openpgp import Key, Keychain

EPOCH = "1700000000"
"""Time of everything in the packages, in seconds since 1970."""

MACROS: Mapping[str, str] = {
    "_binary_payload": "w3.zstdio",
    "_build_id_links": "none",
    "_buildhost": "builder.example.org",
    "__os_install_post": "%{nil}",
    "__spec_install_pre": "%{nil}",
    "debug_package": "%{nil}",
    "use_source_date_epoch_as_buildtime": "1",
    "clamp_mtime_to_source_date_epoch": "1",
}

GPG: Mapping[str, str] = {"__gpg": "/usr/bin/gpg"}
"""Debian's rpm looks for gpg2."""


@dataclass(frozen=True)
class Rpm:
    """A package to be made."""

    name: str
    version: str = "1.0"
    release: str = "1"
    epoch: int | None = None
    architecture: str = "noarch"
    license: str = "MIT"
    tags: Mapping[str, str] = field(default_factory=dict)
    """Further tags of the preamble, for example `{"Vendor": "Acme", "Requires": "bash >= 5, /bin/sh"}`."""

    files: Mapping[str, str | bytes] = field(default_factory=dict)
    """Content by path in the package, for example `{"usr/bin/tool": "#!/bin/sh\\n"}`."""

    scripts: Mapping[str, str] = field(default_factory=dict)
    """Scriptlets by section, for example `{"post": "touch /etc/made"}`."""

    executable: frozenset[str] = frozenset()
    """Those of the files that are programs."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    """What `%files` says of a path instead of its mode and owner, such as `%config %attr(0640, root, mail)`."""

    links: Mapping[str, str] = field(default_factory=dict)
    """Targets of symbolic links by path."""

    macros: Mapping[str, str] = field(default_factory=dict)
    """Further settings of rpmbuild, for example `{"_binary_payload": "w9.gzdio"}`."""

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}-{self.release}.{self.architecture}.rpm"

    def spec(self) -> str:
        """Give the spec file."""
        preamble = {
            "Name": self.name,
            "Epoch": "" if self.epoch is None else str(self.epoch),
            "Version": self.version,
            "Release": self.release,
            "Summary": f"{self.name} for tests",
            "License": self.license,
            "AutoReqProv": "no",
            "BuildArch": self.architecture if self.architecture == "noarch" else "",
            **self.tags,
        }
        parts = ["".join(f"{tag}: {value}\n" for tag, value in preamble.items() if value)]
        parts.append(f"%description\n{self.name} for tests.\n")
        parts += [f"%{section}\n{script}\n" for section, script in self.scripts.items()]
        parts.append("%files\n" + "\n".join(self._listed()) + "\n")
        return "\n".join(parts)

    def _listed(self) -> Iterator[str]:
        for path in self.files:
            usual = f"%attr({'755' if path in self.executable else '644'}, root, root)"
            yield f'{self.attributes.get(path, usual)} "/{path}"'
        for path in self.links:
            yield f'%attr(-, root, root) "/{path}"'


def make_rpm(rpm: Rpm, folder: Path) -> Path:
    """Make a package file in a folder, unsigned; the same package always gives the same bytes."""
    with TemporaryDirectory(prefix="rpmbuild-", dir=folder) as scratch:
        top = Path(scratch)
        for path, content in rpm.files.items():
            file = top / "root" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        for path, target in rpm.links.items():
            link = top / "root" / path
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
        spec = top / f"{rpm.name}.spec"
        spec.write_text(rpm.spec())
        places = {"_topdir": str(top), "_rpmdir": str(top), "_dbpath": str(top / "db"), "_rpmfilename": rpm.file_name}
        words = ["--target", f"{rpm.architecture}-linux", "--buildroot", str(top / "root")]
        run("rpmbuild", "-bb", "--quiet", *words, *_definitions({**MACROS, **places, **rpm.macros}), str(spec))
        return (top / rpm.file_name).replace(folder / rpm.file_name)


def sign_rpm(
    file: Path,
    keychain: Keychain,
    key: Key,
    *,
    at: datetime | None = None,
    digest: str = "sha512",
    old_too: bool = False,
) -> Path:
    """Sign a package in place, instead of whoever has signed it.

    Args:
        file: the package.
        keychain: where the key is.
        key: the key.
        at: when it is signed.
        digest: what is signed by it.
        old_too: whether header and payload together are signed too, as rpm 3 did.
    """
    time = f"--faked-system-time {at:%Y%m%dT%H%M%S}!" if at else ""
    macros = {
        **GPG,
        "_gpg_name": key.fingerprint,
        "_gpg_path": str(keychain.home),
        "_gpg_digest_algo": digest,
        "_gpg_sign_cmd_extra_args": f"--batch --no-tty {time}",
    }
    run("rpmsign", *_definitions(macros), *(["--rpmv3"] if old_too else []), "--resign", str(file))
    return file


def rpm_accepts(file: Path, *keys: Key) -> bool:
    """Say whether rpm, told to want signature and digests, takes a package."""
    with TemporaryDirectory(prefix="rpmkeys-") as scratch:
        database = ["--dbpath", str(Path(scratch) / "db"), "--define", "_pkgverify_level all"]
        for key in keys:
            armoured = Path(scratch) / "key.asc"
            armoured.write_bytes(key.public)
            run("rpmkeys", *database, "--import", str(armoured))
        argv = ["rpmkeys", *database, "--checksig", str(file)]
        return subprocess.run(argv, check=False, capture_output=True).returncode == 0


def run(*argv: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": EPOCH}
    done = subprocess.run(argv, check=False, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr.decode()


def _definitions(macros: Mapping[str, str]) -> list[str]:
    return [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
