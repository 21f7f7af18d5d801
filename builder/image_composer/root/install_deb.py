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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from image_composer.errors import AssemblyError, ToolError
from image_composer.report import Reporter
from image_composer.repository.lock import Lock, LockedPackage
from image_composer.root import operations
from image_composer.root.operations import Operation
from image_composer.root.sandbox import PACKAGES, Sandbox
from image_composer.run import SHOWN_LINES, Completed

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

    native_architecture: str
    """dpkg's name of the image's architecture."""

    jobs: int
    reporter: Reporter

    def install(self) -> None:
        """Install all packages.

        Raises:
            AssemblyError: ASSEMBLE_PACKAGE_FAILED names the packages that failed and shows what they said.
        """
        order = installation_order(self.lock.packages)
        first = bootstrap(self.lock.packages)
        self.sandbox.act("apply", operations=skeleton())
        refused = self._unpack_in_parallel(order, first)
        if refused:
            self.reporter.info(f"unpacking with dpkg, one package after another: {refused}")
            self.sandbox.act("apply", operations=[operations.remove("/*"), *skeleton()])
            self._unpack_by_dpkg(order, first)
        self._configure()

    def _unpack_in_parallel(self, order: Sequence[LockedPackage], first: frozenset[str]) -> str | None:
        """Unpack everything; gives the reason when only dpkg can tell the result."""
        self.reporter.progress("reading packages", 0, len(order), "packages")
        known: dict[str, dict[str, Any]] = {}
        for batch in batches(order, PACKAGES_PER_BATCH):
            answer = self._send("control.tar", [batch], "record", {})
            if answer["refused"]:
                return str(answer["refused"])
            known |= answer["packages"]
        essential = [package for package in order if package.name in first]
        others = [package for package in order if package.name not in first]
        done = 0
        for packages in (essential, others):
            for batch in batches(packages, PACKAGES_PER_BATCH):
                self.reporter.progress("unpacking", done, len(order), "packages")
                answer = self._send("data.tar", balanced(batch, self.jobs), "unpack", known)
                if answer["refused"]:
                    return str(answer["refused"])
                done += len(batch)
            if packages is essential:
                self._prepare_accounts()
                self._run_preinst(order, known)
                if self.sandbox.act("read", paths=["/var/lib/dpkg/diversions"])["contents"]["/var/lib/dpkg/diversions"]:
                    return "a package diverts files of another"
        return None

    def _send(
        self, part: str, lists: Sequence[Sequence[LockedPackage]], action: str, known: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Decompress a part of each package among the host's programs and let an action of the root take it."""
        readers: dict[str, int] = {}
        writers: dict[str, int] = {}
        for package in (package for packages in lists for package in packages):
            readers[package.name], writers[package.name] = os.pipe()
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
                    "order": positions[package.name],
                    "record": known.get(package.name, {}).get("record"),
                    "conffiles": known.get(package.name, {}).get("conffiles", []),
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
            answer = taker.result()
            if not answer.get("refused"):
                sender.result()  # after a refusal its pipes are broken, which says nothing
        return answer

    def _prepare_accounts(self) -> None:
        """Bring the accounts that every Debian has, and forbid services to start.

        base-passwd makes the accounts when it is configured, but scripts of other packages run before that.
        """
        script = "cd /usr/share/base-passwd && for f in passwd group; do [ -e /etc/$f ] || cp $f.master /etc/$f; done"
        self.sandbox.run(["/bin/sh", "-c", script])
        self.sandbox.act("apply", operations=[operations.write(POLICY, "#!/bin/sh\nexit 101\n", mode=0o755)])

    def _run_preinst(self, order: Iterable[LockedPackage], known: Mapping[str, Mapping[str, Any]]) -> None:
        scripts = [
            {
                "argv": [f"/var/lib/dpkg/info/{known[package.name]['record']}.preinst", "install"],
                "env": {
                    **ENVIRONMENT,
                    "DPKG_MAINTSCRIPT_PACKAGE": package.name,
                    "DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT": "1",
                    "DPKG_MAINTSCRIPT_ARCH": package.architecture,
                    "DPKG_MAINTSCRIPT_NAME": "preinst",
                    "DPKG_RUNNING_VERSION": self._version_of("dpkg"),
                    "DPKG_ADMINDIR": "/var/lib/dpkg",
                    "DPKG_ROOT": "",
                },
            }
            for package in order
            if known[package.name]["preinst"]
        ]
        self.sandbox.act("scripts", system=True, scripts=scripts)

    def _version_of(self, name: str) -> str:
        return next((package.version for package in self.lock.packages if package.name == name), "")

    def _unpack_by_dpkg(self, order: Sequence[LockedPackage], first: frozenset[str]) -> None:
        """Unpack the way dpkg does it, after the files of the essential packages are there to run it."""
        essential = [package for package in order if package.name in first]
        for batch in batches(essential, PACKAGES_PER_BATCH):
            answer = self._send("data.tar", [batch], "unpack", {})
            if answer["refused"]:
                raise AssemblyError("ASSEMBLE_NOT_DISJOINT", f"the essential packages overlap: {answer['refused']}")
        self._prepare_accounts()
        paths = [f"{PACKAGES}/{self.files[package.name].name}" for package in order]
        self._dpkg("unpacking", "--force-depends", "--no-triggers", "--unpack", *paths)

    def _configure(self) -> None:
        stub = self.sandbox.workspace / "nothing"
        stub.write_text("#!/bin/sh\nexit 0\n")
        stub.chmod(0o755)
        self._dpkg("configuring", "--configure", "-a", shadows=dict.fromkeys(DELAYED_PROGRAMS, stub.name))
        self.sandbox.act("apply", operations=[operations.remove(POLICY)])

    def _dpkg(self, doing: str, *arguments: str, shadows: Mapping[str, str] | None = None) -> None:
        """Run dpkg, which tells how far it is by lines such as `processing: configure: libc6:amd64`."""
        status_read, status_write = os.pipe()
        with ThreadPoolExecutor(1) as pool, os.fdopen(status_read, errors="replace") as status:
            watching = pool.submit(self._watch, doing, status)
            argv = ["dpkg", "--status-fd", str(status_write), *arguments]
            descriptors = [status_write]
            done = self.sandbox.run(argv, env=ENVIRONMENT, shadows=shadows, check=False, descriptors=descriptors)
            watching.result()
        if done.returncode != 0:
            raise package_failure(done)

    def _watch(self, doing: str, status: TextIO) -> None:
        total = len(self.lock.packages)
        for number, line in enumerate(line for line in status if line.startswith("processing: ")):
            self.reporter.progress(f"{doing} {line.split(':')[2].strip()}", min(number, total), total, "packages")


def package_failure(done: Completed) -> AssemblyError | ToolError:
    """Explain dpkg's failure by the packages it names."""
    said = (done.stdout + done.stderr).decode(errors="replace")
    names = sorted(set(re.findall(r"^dpkg: error processing (?:package|archive) (\S+) \(--", said, re.MULTILINE)))
    tail = "\n".join(said.strip().splitlines()[-SHOWN_LINES:])
    if "No space left on device" in said:
        return ToolError("TOOL_DISK_FULL", f"the disk is full while installing packages\n{tail}")
    what = f"installing {', '.join(names)} failed" if names else f"dpkg failed with status {done.returncode}"
    return AssemblyError("ASSEMBLE_PACKAGE_FAILED", f"{what}\n{tail}", hint="the package's own script said why, above")


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


def bootstrap(packages: Sequence[LockedPackage]) -> frozenset[str]:
    """Give the names of the essential packages with all that they depend on."""
    by_name = {package.name: package for package in packages}
    found: set[str] = set()
    waiting = [package.name for package in packages if package.essential]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += by_name[name].depends
    return frozenset(found)


def installation_order(packages: Sequence[LockedPackage]) -> list[LockedPackage]:
    """Give the packages with each after what it depends on, as far as there are no circles; by name otherwise."""
    by_name = {package.name: package for package in packages}
    placed: dict[str, LockedPackage] = {}
    for start in sorted(by_name):
        stack = [(start, iter(by_name[start].depends))]
        open_names = {start}
        while stack:
            name, rest = stack[-1]
            following = next((other for other in rest if other not in placed and other not in open_names), None)
            if following is None:
                placed.setdefault(name, by_name[name])
                stack.pop()
            else:
                open_names.add(following)
                stack.append((following, iter(by_name[following].depends)))
    return list(placed.values())


def balanced(packages: Sequence[LockedPackage], workers: int) -> list[list[LockedPackage]]:
    """Share packages out so that each worker has about the same to unpack: the largest first to the least loaded."""
    shares: list[list[LockedPackage]] = [[] for _ in range(max(1, min(workers, len(packages))))]
    loads = [0] * len(shares)
    for package in sorted(packages, key=lambda package: (-package.installed_size, package.name)):
        least = loads.index(min(loads))
        shares[least].append(package)
        loads[least] += package.installed_size + package.size
    return shares


def batches(packages: Sequence[LockedPackage], size: int) -> list[list[LockedPackage]]:
    """Cut a list into pieces of a size."""
    return [list(packages[start : start + size]) for start in range(0, len(packages), size)]
