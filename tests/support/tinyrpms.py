"""A distribution of a few rpm packages that can run scripts, and its repository."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from support.distribution import BOOT
from support.openpgp import Key, Keychain
from support.rpmbuild import Rpm, run, sign_rpm
from support.rpmrepo import PUBLISHED

ARCHITECTURE = "x86_64"

FAST = {"_binary_payload": "w1.zstdio"}

PERL_MODULES = Path("/usr/lib/x86_64-linux-gnu/perl-base")
"""Modules that Debian's perl-base brings."""

RUNS = "var/lib/dracut-runs"
"""What the distribution's dracut writes a line to whenever it does something."""

DRACUT_SCRIPT = f"""#!/bin/sh
for settings in /etc/dracut.conf.d/*.conf; do
    if [ -e "$settings" ]; then . "$settings"; fi
done
for last; do :; done
echo run >> /{RUNS}
echo initramfs > "$last"
"""
"""Reads its settings as dracut does."""

TINY_BOOT = Rpm(
    "tiny-boot",
    files={path: content for path, content in BOOT.files.items() if path != "usr/bin/dracut"},
    tags={"Requires": "tiny-system"},
    macros=FAST,
)

DRACUT = Rpm(
    "dracut",
    files={"usr/bin/dracut": DRACUT_SCRIPT},
    executable=frozenset({"usr/bin/dracut"}),
    tags={"Requires": "tiny-system"},
)


def tiny_system() -> Rpm:
    """Give a package with all that scripts need: a shell and perl, of this machine."""
    programs = {"usr/bin/sh": Path("/usr/bin/dash"), "usr/bin/perl": Path("/usr/bin/perl")}
    libraries = {place_of(path): Path(path) for path in sorted(libraries_of(programs.values()))}
    modules = {str(path)[1:]: path for path in sorted(PERL_MODULES.rglob("*")) if path.is_file()}
    texts = {
        "etc/os-release": 'ID=testing\nVERSION_ID=1\nPRETTY_NAME="Testing 1"\n',
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nkeeper:x:321:321::/:/bin/sh\n",
        "etc/group": "root:x:0:\nkeeper:x:321:\nreaders:x:322:\n",
    }
    copied = {place: path.read_bytes() for place, path in {**programs, **libraries, **modules}.items()}
    return Rpm(
        "tiny-system",
        architecture=ARCHITECTURE,
        files={**texts, **copied},
        links={"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"},
        executable=frozenset([*programs, *libraries]),
        tags={"Provides": "/bin/sh"},
        macros=FAST,
    )


def libraries_of(programs: Iterable[Path]) -> set[str]:
    """Give the paths of libraries, the dynamic loader too, that programs are loaded with."""
    said = subprocess.run(["ldd", *programs], check=True, capture_output=True, text=True).stdout
    return {word for line in said.splitlines() for word in line.split() if word.startswith("/") and word[-1] != ":"}


def place_of(path: str) -> str:
    """Give where a merged /usr has a file."""
    return path[1:] if path.startswith("/usr/") else f"usr{path}"


@dataclass(frozen=True)
class RpmMirror:
    """The distribution's repository in a folder."""

    folder: Path
    keychain: Keychain

    @property
    def repository(self) -> Path:
        return self.folder / ARCHITECTURE

    def add(self, file: Path, *keys: Key, at: datetime = PUBLISHED) -> Path:
        """Put a package into the repository, signed with one key or as it is."""
        place = self.repository / "Packages" / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
        for key in keys:
            sign_rpm(place, self.keychain, key, at=at)
        return place

    def index(self, *keys: Key, at: datetime = PUBLISHED) -> None:
        """Write the metadata over what is there, signed with some keys or not."""
        revision = str(int(PUBLISHED.timestamp()))
        words = ["--quiet", "--no-database", "--revision", revision, "--set-timestamp-to-revision"]
        run("createrepo_c", *words, str(self.repository))
        self.sign(*keys, at=at)

    def sign(self, *keys: Key, at: datetime = PUBLISHED) -> None:
        """Sign repomd.xml as it is now; without a key, take its signature away."""
        repomd = self.repository / "repodata" / "repomd.xml"
        signature = repomd.with_name("repomd.xml.asc")
        signature.unlink(missing_ok=True)
        if keys:
            signature.write_bytes(self.keychain.detach(repomd.read_bytes(), *keys, at=at))

    def package(self, rpm: Rpm) -> Path:
        """Give the file of a package that is there."""
        return self.repository / "Packages" / rpm.file_name

    def metadata(self, kind: str) -> Path:
        """Give the file of one kind of metadata."""
        [found] = (self.repository / "repodata").glob(f"*-{kind}.xml.*")
        return found
