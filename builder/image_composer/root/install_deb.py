"""Installing deb packages into an empty root.

The order is the one that every bootstrapping tool for Debian follows: the files of the essential packages first, so
that there is a dpkg to run, then everything else unpacked, then everything configured. What is special is that the
unpacking is done by several workers at once (inside_unpack.py), with `dpkg --unpack` where packages aren't disjoint.
All of it happens inside the sandbox.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, TextIO

from image_composer.errors import AssemblyError, ToolError
from image_composer.report import Reporter
from image_composer.repository.lock import Lock, LockedPackage
from image_composer.root import operations
from image_composer.root.install_order import Round, balanced, batches, installation_order, installation_rounds
from image_composer.root.operations import Operation
from image_composer.root.sandbox import PACKAGES, Sandbox
from image_composer.run import FULL_HINT, SHOWN_LINES, Completed, find_tool, is_disk_full

ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "DEBCONF_NOWARNINGS": "yes",
    "SYSTEMD_OFFLINE": "1",
}
"""Makes maintainer scripts ask nothing and talk to no service manager."""

POLICY = "/usr/sbin/policy-rc.d"
"""Asked by invoke-rc.d before it starts a service; 101 forbids it."""

DELAYED_PROGRAMS = ("/usr/bin/dracut", "/usr/sbin/update-initramfs", "/usr/bin/ssh-keygen")
"""Programs that do nothing while packages are configured: the initramfs is made once, at the end, and host keys are
made on each machine at its first boot."""

DECOMPRESSORS = ("gzip", "xz", "zstd")
"""Programs of the host that unpack packages; which of them a package needs is known only when it is read."""

STAND_IN = "nothing"
"""File of the workspace that stands in for them."""

PIPE_SIZE = 1 << 20
"""Bytes that a decompressor may be ahead of the unpacker: the kernel's limit for unprivileged users."""

PACKAGES_PER_BATCH = 128
"""Packages unpacked at once, each with two descriptors open: well below the usual limit of 1024."""


@dataclass(frozen=True, slots=True)
class DebInstaller:
    """Installs the packages of a lock into the sandbox's root."""

    sandbox: Sandbox
    lock: Lock
    files: Mapping[str, Path]
    """Package files by package name, all in the workspace's folder `packages`."""

    jobs: int
    reporter: Reporter

    def install(self, *, parallel: bool = True) -> None:
        """Install all packages.

        Args:
            parallel: whether to unpack with several workers, as far as that can't make a difference to the result.

        Raises:
            AssemblyError: ASSEMBLE_PACKAGE_FAILED names the packages that failed and shows what they said.
            ToolError: a decompressor is missing, the disk is full.
        """
        for name in DECOMPRESSORS:
            find_tool(name)
        self._prepare_stand_in()
        self.sandbox.act("apply", operations=skeleton())
        refused, known = self._record()
        rounds = installation_rounds(self.lock.packages, {name: facts["scripts"] for name, facts in known.items()})
        if not parallel:
            refused = "as asked for"
        if refused := refused or self._unpack_in_parallel(rounds, known):
            self.reporter.info(f"unpacking with dpkg, one package after another: {refused}")
            self.sandbox.act("apply", operations=[operations.remove("/*"), *skeleton()])
            self._unpack_by_dpkg(rounds)
        self._configure(["-a"])
        self.sandbox.act("apply", operations=[operations.remove(POLICY)])

    def _record(self) -> tuple[str | None, dict[str, dict[str, Any]]]:
        """Record all packages as unpacked; gives a reason when only dpkg can do it, and what is known of each."""
        self.reporter.progress("reading packages", 0, len(self.lock.packages), "packages")
        known: dict[str, dict[str, Any]] = {}
        refused: str | None = None
        for batch in batches(installation_order(self.lock.packages), PACKAGES_PER_BATCH):
            answer = self._send("control.tar", [batch], "record", {})
            refused = refused or answer["refused"]
            known |= answer["packages"]
        return refused, known

    def _unpack_in_parallel(self, rounds: Sequence[Round], known: Mapping[str, Mapping[str, Any]]) -> str | None:
        """Unpack everything; gives the reason when only dpkg can tell the result."""
        order = [package for part in rounds for package in part.packages]
        for number, part in enumerate(rounds):
            self._configure(part.configured_before)
            # The files of the first round bring the shell that scripts need; all others wait for theirs.
            if number > 0:
                self._run_preinst(part.packages, known)
            for batch in batches(part.packages, PACKAGES_PER_BATCH):
                self.reporter.progress("unpacking", order.index(batch[0]), len(order), "packages")
                answer = self._send("data.tar", balanced(batch, self.jobs), "unpack", known)
                if answer["refused"]:
                    return str(answer["refused"])
            if number == 0:
                self._prepare_accounts()
                self._run_preinst(part.packages, known)
        diverted = self.sandbox.act("diverted")["paths"]
        return f"a package diverts {diverted[0]} of another" if diverted else None

    def _send(
        self, part: str, lists: Sequence[Sequence[LockedPackage]], action: str, known: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Decompress a part of each package among the host's programs and let an action of the root take it."""
        readers: dict[str, int] = {}
        writers: dict[str, int] = {}
        for package in (package for packages in lists for package in packages):
            readers[package.name], writers[package.name] = os.pipe()
            with suppress(PermissionError):  # users other than root may have 64 MiB in pipes: others stay small
                fcntl.fcntl(writers[package.name], fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        sent = [
            [
                {"fd": writers[package.name], "path": f"{PACKAGES}/{self.files[package.name].name}"}
                for package in packages
            ]
            for packages in lists
        ]
        positions = {package.name: number for number, package in enumerate(installation_order(self.lock.packages))}
        taken = [
            [
                {
                    "fd": readers[package.name],
                    "name": package.name,
                    "version": package.version,
                    "architecture": package.architecture,
                    "order": positions[package.name],
                    "record": known.get(package.name, {}).get("record"),
                    "conffiles": known.get(package.name, {}).get("conffiles", []),
                    "sums": known.get(package.name, {}).get("sums", False),
                }
                for package in packages
            ]
            for packages in lists
        ]
        request = {"packages": taken[0]} if action == "record" else {"lists": taken}
        with ThreadPoolExecutor(2) as pool:
            sender = pool.submit(
                self.sandbox.tools().act, "send", descriptors=list(writers.values()), part=part, lists=sent
            )
            taker = pool.submit(self.sandbox.act, action, descriptors=list(readers.values()), **request)
            sender.result()  # first: what the taker would complain of is a consequence
            return taker.result()

    def _prepare_accounts(self) -> None:
        """Bring the accounts that every Debian has, and forbid services to start.

        base-passwd makes the accounts when it is configured, but scripts of other packages run before that.
        """
        script = "cd /usr/share/base-passwd && for f in passwd group; do [ -e /etc/$f ] || cp $f.master /etc/$f; done"
        self.sandbox.run(["/bin/sh", "-c", script])
        self.sandbox.act("apply", operations=[operations.write(POLICY, "#!/bin/sh\nexit 101\n", mode=0o755)])

    def _run_preinst(self, packages: Iterable[LockedPackage], known: Mapping[str, Mapping[str, Any]]) -> None:
        """Run the scripts that come before unpacking."""
        scripts = [
            {
                "record": known[package.name]["record"],
                "control": known[package.name]["control"],
                "env": {
                    **ENVIRONMENT,
                    "DPKG_MAINTSCRIPT_PACKAGE": package.name,
                    "DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT": "1",
                    "DPKG_MAINTSCRIPT_ARCH": package.architecture,
                    "DPKG_MAINTSCRIPT_NAME": "preinst",
                    "DPKG_RUNNING_VERSION": self._version_of("dpkg"),
                    "DPKG_ADMINDIR": "/var/lib/dpkg",
                    "DPKG_ROOT": "",
                    "PERL_DL_NONLAZY": "1",
                },
            }
            for package in packages
            if "preinst" in known[package.name]["scripts"]
        ]
        try:
            self.sandbox.act("scripts", system=True, scripts=scripts)
        except AssemblyError as error:
            raise AssemblyError("ASSEMBLE_PACKAGE_FAILED", error.message, hint=SCRIPT_HINT) from error

    def _version_of(self, name: str) -> str:
        return next((package.version for package in self.lock.packages if package.name == name), "")

    def _unpack_by_dpkg(self, rounds: Sequence[Round]) -> None:
        """Unpack the way dpkg does it, after the files of the essential packages are there to run it."""
        for batch in batches(rounds[0].packages, PACKAGES_PER_BATCH):
            answer = self._send("data.tar", [batch], "unpack", {})
            if answer["refused"]:
                raise AssemblyError("ASSEMBLE_NOT_DISJOINT", f"the essential packages overlap: {answer['refused']}")
        self._prepare_accounts()
        for part in rounds:
            self._configure(part.configured_before)
            paths = [f"{PACKAGES}/{self.files[package.name].name}" for package in part.packages]
            self._dpkg("unpacking", "--force-depends", "--no-triggers", "--unpack", *paths)

    def _prepare_stand_in(self) -> None:
        stub = self.sandbox.workspace / STAND_IN
        stub.write_text("#!/bin/sh\nexit 0\n")
        stub.chmod(0o755)

    def _configure(self, names: Sequence[str]) -> None:
        if names:
            self._dpkg("configuring", "--configure", *names)

    def _dpkg(self, doing: str, *arguments: str) -> None:
        """Run dpkg, which tells how far it is by lines such as `processing: configure: libc6:amd64`."""
        status_read, status_write = os.pipe()
        with ThreadPoolExecutor(1) as pool, os.fdopen(status_read, errors="replace") as status:
            watching = pool.submit(self._watch, doing, status)
            argv = ["dpkg", "--status-fd", str(status_write), *arguments]
            shadows = dict.fromkeys(DELAYED_PROGRAMS, STAND_IN) if "--configure" in arguments else {}
            descriptors = [status_write]
            done = self.sandbox.run(argv, env=ENVIRONMENT, shadows=shadows, check=False, descriptors=descriptors)
            watching.result()
        if done.returncode != 0:
            raise package_failure(done)

    def _watch(self, doing: str, status: TextIO) -> None:
        total = len(self.lock.packages)
        for number, line in enumerate(line for line in status if line.startswith("processing: ")):
            self.reporter.progress(f"{doing} {line.split(':')[2].strip()}", min(number, total), total, "packages")


SCRIPT_HINT = "dpkg or the package's own script said why, above"


def package_failure(done: Completed) -> AssemblyError | ToolError:
    """Explain dpkg's failure by the packages it names."""
    said = (done.stdout + done.stderr).decode(errors="replace")
    told = re.findall(r"^dpkg: error processing (?:package|archive) (\S+) \(--", said, re.MULTILINE)
    names = sorted({PurePath(name).name.partition("_")[0] for name in told})  # packages, or the paths of their files
    tail = "\n".join(said.strip().splitlines()[-SHOWN_LINES:])
    if is_disk_full(said):
        return ToolError("TOOL_DISK_FULL", f"the disk is full while installing packages\n{tail}", hint=FULL_HINT)
    what = f"installing {', '.join(names)} failed" if names else f"dpkg failed with status {done.returncode}"
    return AssemblyError("ASSEMBLE_PACKAGE_FAILED", f"{what}\n{tail}", hint=SCRIPT_HINT)


def skeleton() -> list[Operation]:
    """Give what must be there before the first package: merged /usr and an empty database of dpkg."""
    merged = [
        operation
        for name in ("bin", "sbin", "lib", "lib64")
        for operation in (operations.folder(f"/usr/{name}"), operations.link(f"/{name}", f"usr/{name}"))
    ]
    admin = "/var/lib/dpkg"
    folders = [
        operations.folder(f"{admin}/{name}") for name in ("info", "updates", "triggers", "alternatives", "parts")
    ]
    files = [operations.write(f"{admin}/{name}", "") for name in ("status", "available", "triggers/File")]
    return [
        *merged,
        *folders,
        *files,
        operations.write(f"{admin}/info/format", "1\n"),
        operations.folder("/etc"),
    ]
