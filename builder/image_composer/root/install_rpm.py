"""Installing rpm packages into an empty root: one transaction of the host's rpm, which sees the root as its world.

rpm orders packages, unpacks, runs scripts and triggers, and writes the database; there is nothing to gain by doing any
of it ourselves but time, and rpm takes a few seconds. Signatures were verified when the packages were fetched, with
their repository's keys; rpm verifies the digests once more.
"""

from __future__ import annotations

import os
import re
import struct
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from image_composer.errors import AssemblyError, ToolError
from image_composer.manifest import RpmFacts
from image_composer.report import Reporter
from image_composer.repository.lock import Lock
from image_composer.root import operations
from image_composer.root.lending import HOST
from image_composer.root.operations import Operation
from image_composer.root.sandbox import PACKAGES, Sandbox
from image_composer.run import FULL_HINT, SHOWN_LINES, Completed, find_tool, is_disk_full

ENVIRONMENT = {"RPM_CONFIGDIR": f"{HOST}/usr/lib/rpm", "SYSTEMD_OFFLINE": "1", "KERNEL_INSTALL_BYPASS": "1"}
"""Makes rpm read its own settings, scripts talk to no service manager and kernels not be copied to where they start
from: the image stage does that."""

NOT_OURS = ("/proc", "/sys", "/dev")
"""Folders whose content is the kernel's: packages that bring something there can't, as on every running system."""

NO_INITRAMFS = "/etc/dracut.conf.d/00-image-composer.conf"
"""dracut reads its settings as a shell script: this one ends it. Scripts of packages call it by name, by path and by
way of other programs; the initramfs is made once, when everything is there."""

GNUPG, KEYRINGS = "gnupg2", "/root/.gnupg"
"""Azure Linux's packages put the vendor's key among root's, where tdnf looks for it. A keyring holds the time at which
that was done, which two builds must have alike."""

MODES: Mapping[str, int] = {
    "/proc": 0o555,
    "/sys": 0o555,
    "/dev": 0o755,
    "/run": 0o755,
    "/tmp": 0o1777,  # noqa: S108 - the target's folder, not this machine's
}
"""What is mounted over while packages are installed, and the modes that these folders have below."""

SCRIPT = re.compile(r"^(warning|error): (%\S+)\((\S+?)\) scriptlet failed, (.*)$")
RPMS_OWN = re.compile(r"(warning|error): |\s*rpm: ")
"""What rpm itself says; the rest of standard error is its scripts'."""

OWNERLESS = re.compile(r"^warning: (user|group) (\S+) does not exist - using (\S+)$", re.MULTILINE)
DEBIAN_NOTE = re.compile(r"\s*rpm: (RPM should not be used directly|However assuming you know)")
"""What Debian's rpm says whenever it installs something."""

FAILED = re.compile(r"^error: (\S+)-[^-\s]+-[^-\s]+: install failed$", re.MULTILINE)
CLASH = re.compile(
    r"^\s*file \S+ (?:from install of|conflicts between attempted installs of) (\S+)-[^-\s]+-[^-\s]+ "
    r"(?:conflicts with file from package|and) (\S+)-[^-\s]+-[^-\s]+",
    re.MULTILINE,
)
"""A path that two packages bring, each in its own way."""


@dataclass(frozen=True, slots=True)
class RpmInstaller:
    """Installs the packages of a lock into the sandbox's root."""

    sandbox: Sandbox
    lock: Lock
    files: Mapping[str, Path]
    """Package files by package name, all in the workspace's folder `packages`."""

    facts: RpmFacts
    epoch: int
    """Seconds since 1970 that all times in the image are set to."""

    reporter: Reporter

    def install(self) -> None:
        """Install all packages.

        Raises:
            AssemblyError: ASSEMBLE_PACKAGE_FAILED names the packages that failed and shows what they said.
            ToolError: rpm is missing, the disk is full.
        """
        find_tool("rpm")
        installed = {package.name for package in self.lock.packages}
        self.sandbox.act("apply", operations=first_operations(installed, self.epoch))
        self._transaction()
        self.sandbox.act("apply", operations=final_operations(installed, self.facts))

    def _transaction(self) -> None:
        """Run rpm, which names each package as it comes to it."""
        paths = [f"{PACKAGES}/{self.files[package.name].name}" for package in self.lock.packages]
        read, write = os.pipe()
        with ThreadPoolExecutor(1) as pool, os.fdopen(read, errors="replace") as told:
            watching = pool.submit(self._watch, told)
            try:
                done = self.sandbox.lend(transaction(paths, self.facts), env=ENVIRONMENT, stdout=write)
            finally:
                os.close(write)
            last, words = watching.result()
        said = done.stderr.decode(errors="replace")
        if done.returncode != 0:
            raise package_failure("\n".join([*words, said]), done, last)
        for warning in (*script_warnings(said), *owner_warnings(said)):
            self.reporter.warning(warning)

    def _watch(self, told: Iterable[str]) -> tuple[str, Sequence[str]]:
        """Report progress while rpm tells it; scripts write there too.

        Returns:
            The package that rpm came to last, and the last lines of scripts: rpm goes on after a failure.
        """
        names = {package.name for package in self.lock.packages}
        last, words, number = "", deque[str](maxlen=SHOWN_LINES), 0
        for line in told:
            name = line.strip().rsplit("-", 2)[0]
            if name not in names:
                words.append(line.rstrip())
                continue
            self.reporter.progress(f"installing {name}", min(number, len(names)), len(names), "packages")
            last, number = name, number + 1
        return last, words


def transaction(paths: Sequence[str], facts: RpmFacts) -> list[str]:
    """Give rpm's command line.

    Args:
        paths: package files as the root sees them.
        facts: of the distribution.
    """
    settings = {
        "_dbpath": facts.database,
        "_db_backend": facts.backend,
        "_pkgverify_level": "digest",
        "_netsharedpath": ":".join(NOT_OURS),
    }
    defined = [word for name, value in settings.items() for word in ("--define", f"{name} {value}")]
    # --ignorearch: what the host's processor is says nothing of the image's; resolving has seen to its architecture.
    return ["rpm", *defined, "-Uv", "--noplugins", "--nosignature", "--ignorearch", *paths]


def first_operations(installed: Collection[str], epoch: int) -> list[Operation]:
    """Say what must be there before the transaction, for the programs that scripts are going to run."""
    wanted = []
    if "dracut" in installed:
        wanted.append(operations.write(NO_INITRAMFS, "exit 0\n"))
    if GNUPG in installed:
        fixed = f"faked-system-time {datetime.fromtimestamp(epoch, UTC):%Y%m%dT%H%M%S}!\n"
        wanted += [
            operations.folder(KEYRINGS, mode=0o700),
            operations.write(f"{KEYRINGS}/gpg.conf", fixed),
            operations.write(f"{KEYRINGS}/pubring.kbx", empty_keybox(epoch)),
        ]
    return wanted


def empty_keybox(epoch: int) -> bytes:
    """Give a keyring without a key, made at a time; what gpg itself would make of the present.

    Format: GnuPG's kbx/keybox-blob.c, the header blob: its length, type 1, version 1, flag 2 (OpenPGP), magic, and the
    times of creation and maintenance.
    """
    return struct.pack(">IBBH4sIIIII", 32, 1, 1, 2, b"KBXf", 0, epoch, epoch, 0, 0)


def final_operations(installed: Collection[str], facts: RpmFacts) -> list[Operation]:
    """Say what to mend and take away after the transaction."""
    gone = [NO_INITRAMFS] if "dracut" in installed else []
    if GNUPG in installed:
        gone += [f"{KEYRINGS}/{pattern}" for pattern in ("gpg.conf", "S.*", "*~", "*.lock", ".#*", "random_seed")]
    return [
        *map(operations.remove, gone),
        *(operations.folder(path, mode=mode) for path, mode in MODES.items()),
        operations.remove(f"{facts.database}/.rpm.lock"),
        # Empty once rpm has ended, and how sqlite's processes share memory: both are made anew by the next one.
        operations.remove(f"{facts.database}/*-wal"),
        operations.remove(f"{facts.database}/*-shm"),
    ]


def script_warnings(said: str) -> Iterator[str]:
    """Give a sentence for each script that failed without rpm giving up, as it does for those after unpacking."""
    last = ""
    for line in said.splitlines():
        found = SCRIPT.match(line)
        if found and found[1] == "warning":
            yield f"the script {found[2]} of {found[3]} failed: {found[4]}" + (f"; said last: {last}" if last else "")
        last = "" if RPMS_OWN.match(line) else line.strip() or last


def owner_warnings(said: str) -> Iterator[str]:
    """Give a sentence for each user and group that files should belong to and that there was not when they came."""
    for kind, name, instead in dict.fromkeys(OWNERLESS.findall(said)):
        yield f"files of the {kind} {name} belong to {instead}: no package had brought that {kind} before them"


def package_failure(said: str, done: Completed, last: str = "") -> AssemblyError | ToolError:
    """Explain rpm's failure by the packages it names.

    Args:
        said: what it wrote to standard error.
        done: how it ended.
        last: the package that it came to last; all there is to tell when it was killed.
    """
    lines = [line for line in said.strip().splitlines() if not DEBIAN_NOTE.match(line)]
    tail = "\n".join(lines[-SHOWN_LINES:])
    if is_disk_full(said) or "needs more space" in said:
        return ToolError("TOOL_DISK_FULL", f"the disk is full while installing packages\n{tail}", hint=FULL_HINT)
    coming_to = f" when it had come to {last}" if last else ""
    what = _what_failed(said) or f"rpm failed with status {done.returncode}{coming_to}"
    return AssemblyError(
        "ASSEMBLE_PACKAGE_FAILED", f"{what}\n{tail}".rstrip(), hint="rpm or the package's own script said why"
    )


def _what_failed(said: str) -> str:
    if names := sorted(set(FAILED.findall(said))):
        return f"installing {', '.join(names)} failed"
    pairs = sorted({" and ".join(sorted(pair)) for pair in CLASH.findall(said)})
    return f"installing {'; '.join(pairs)} together failed" if pairs else ""
