"""The sandbox: where everything that a package or a user brings is run, with nothing of the host in reach.

User, mount, pid, network, ipc and uts namespaces of its own; ids mapped to a range that is nobody's; a handful of
harmless devices; no network, no environment, no file of the host but those bound here on purpose. launcher.py does
it; this module decides what it shall do.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from image_composer.errors import AssemblyError, SandboxError, ToolError
from image_composer.root.idmap import IdMap
from image_composer.root.launcher_kernel import EXIT_REFUSED
from image_composer.root.lending import HOST, lent_program
from image_composer.root.sandbox_mounts import bind, host_mounts, system_mounts
from image_composer.root.seccomp import filter_program
from image_composer.run import FULL_HINT, SHOWN_LINES, Completed, Runner, failure, find_tool, is_disk_full

Answer = dict[str, Any]
"""What an action of inside.py answers: a JSON object."""

LAUNCHER = Path(__file__).with_name("launcher.py")

CAPABILITIES = {
    "CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_DAC_READ_SEARCH": 2, "CAP_FOWNER": 3, "CAP_FSETID": 4,
    "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SETPCAP": 8, "CAP_SYS_CHROOT": 18, "CAP_SETFCAP": 31,
}  # fmt: skip
"""What installing packages needs, and only inside the user namespace."""

ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "TERM": "dumb",
}
"""All that programs in the sandbox see of an environment."""

PACKAGES = "/run/image-composer/packages"
"""Where the root sees the package files, read-only."""

RESOLVER = "/run/systemd/resolve/stub-resolv.conf"
"""Where a root with systemd-resolved looks for name servers; its /etc/resolv.conf is a link to it."""

EXCHANGE = "/run/image-composer/exchange"
"""Where programs of the root leave files for the composer."""

BARE_EXCHANGE = "/tmp"  # noqa: S108 - a folder of the root, with a folder of the workspace bound over it
"""Where our own actions do, in a root without any mount."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Runs programs and our own actions in one workspace.

    `root/`, `exchange/` and whatever else the sandbox shall write in the workspace belongs to the mapped root user;
    `prepare` makes it so.
    """

    workspace: Path
    runner: Runner
    ids: IdMap
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to `ENVIRONMENT`, for example SOURCE_DATE_EPOCH."""

    handler: str | None = None
    """What the kernel is told to run programs of another architecture by, as `foreign.own_handler` gives it."""

    def prepare(self, *folders: str) -> None:
        """Make folders of the workspace that the sandbox may write to, and let it find its way to them."""
        self.workspace.chmod(self.workspace.stat().st_mode | 0o111)
        for name in folders:
            path = self.workspace / name
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
            if self.ids.direct:
                os.chown(path, self.ids.uid_base, self.ids.gid_base)

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        shadows: Mapping[str, str] | None = None,
        check: bool = True,
        descriptors: Sequence[int] = (),
        timeout: float | None = None,
        network: bool = False,
    ) -> Completed:
        """Run a program of the root, with the root as its world.

        Args:
            argv: program and arguments as seen inside.
            env: added to the environment.
            shadows: programs of the root (paths) covered by a stand-in of the workspace while this runs.
            check: raise when it fails.
            descriptors: handed over to it.
            timeout: seconds after which it is killed, with all that it started.
            network: whether it reaches the network that the composer does, and finds names.

        Raises:
            SandboxError: SANDBOX_REFUSED.
            ToolError: TOOL_FAILED, TOOL_KILLED, TOOL_TIMEOUT.
        """
        covered = [bind(source, target, readonly=True, existing=True) for target, source in (shadows or {}).items()]
        shared = [bind("packages", PACKAGES, readonly=True), bind("exchange", EXCHANGE)]
        names = [bind("/etc/resolv.conf", RESOLVER, readonly=True, optional=True)] if network else []
        mounts = [*system_mounts(), *shared, *covered, *names]
        words = [str(word) for word in argv]
        plan = {"root": "root", "mounts": mounts, "argv": words, "network": network}
        shown = f"[in root] {shlex.join(words)}"
        return self._launch(plan, env, shown, check=check, descriptors=descriptors, timeout=timeout)

    def lend(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        stdout: IO[bytes] | int = subprocess.PIPE,
    ) -> Completed:
        """Run a program of the host with the root as its world, before the root can run anything itself.

        Unlike with chroot, nothing that it starts can find the way back: all that there is of the host is its /usr,
        read-only at `HOST`, for the dynamic loader.

        Args:
            argv: program and arguments as seen inside.
            env: added to the environment.
            stdout: where its output goes; kept in the result by default.

        Raises:
            SandboxError: SANDBOX_REFUSED.
            ToolError: TOOL_MISSING, TOOL_NOT_LENT.
        """
        words = [*lent_program(Path(find_tool(str(argv[0])))), *map(str, argv[1:])]
        shared = [bind("packages", PACKAGES, readonly=True), bind("/usr", f"{HOST}/usr", readonly=True)]
        plan = {"root": "root", "mounts": [*system_mounts(), *shared], "argv": words}
        shown = f"[in root] {shlex.join(map(str, argv))}"
        return self._launch(plan, env, shown, check=False, stdout=stdout)

    def act(
        self,
        name: str,
        *,
        descriptors: Sequence[int] = (),
        system: bool = False,
        exchange: bool = False,
        **arguments: Any,
    ) -> Answer:
        """Carry out one of our own actions (inside.py) in the root, and give what it answers.

        Args:
            name: of the action.
            descriptors: handed over to it.
            system: whether programs of the root are run, so that /proc, /dev and the like are needed; otherwise the
                action sees the bare root.
            exchange: whether the exchange folder is there: at `EXCHANGE`, or over the bare root's /tmp.
            arguments: its request.

        Raises:
            SandboxError: SANDBOX_REFUSED.
            AssemblyError: ASSEMBLE_ACTION_FAILED, ASSEMBLE_ROOT_UNUSABLE.
            ToolError: TOOL_DISK_FULL.
        """
        mounts = system_mounts() if system else []
        if exchange:
            mounts.append(bind("exchange", EXCHANGE if system else BARE_EXCHANGE))
        return self._act({"root": "root", "mounts": mounts}, name, arguments, descriptors)

    def _act(
        self, place: Mapping[str, Any], name: str, arguments: Mapping[str, Any], descriptors: Sequence[int]
    ) -> Answer:
        plan = {**place, "action": {"name": name, **arguments}}
        done = self._launch(plan, None, f"[in root] {name}", check=False, descriptors=descriptors)
        try:
            answer: Answer = json.loads(done.stdout)
        except ValueError:
            raise failure(f"the action {name} in the root", done) from None
        if "failed" in answer and is_disk_full(answer["failed"]):
            raise ToolError("TOOL_DISK_FULL", f"the disk is full: {answer['failed']}", hint=FULL_HINT)
        if "failed" in answer:
            said = done.stderr.decode(errors="replace").strip().splitlines()[-SHOWN_LINES:]
            message = "\n".join([f"{name} in the root: {answer['failed']}", *said])
            raise AssemblyError("ASSEMBLE_ACTION_FAILED", message)
        return answer

    def tools(self) -> Tools:
        """Give a runner of the host's own programs in the same user namespace, for making file systems."""
        return Tools(self)

    def _launch(
        self,
        plan: dict[str, Any],
        env: Mapping[str, str] | None,
        shown: str,
        *,
        check: bool = True,
        stdin: bytes | None = None,
        stdout: IO[bytes] | int = subprocess.PIPE,
        descriptors: Sequence[int] = (),
        timeout: float | None = None,
    ) -> Completed:
        full = {
            "workspace": str(self.workspace),
            "ids": self.ids.plan(),
            "capabilities": sorted(CAPABILITIES.values()),
            "seccomp": base64.b64encode(filter_program(platform.machine())).decode(),
            "env": {**ENVIRONMENT, **self.environment, **(env or {})},
            "descriptors": list(descriptors),
            **({"handler": self.handler} if self.handler else {}),
            **plan,
        }
        descriptor = os.memfd_create("plan")
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            stream.write(json.dumps(full).encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        done = self.runner.run(
            [sys.executable, "-I", "-S", LAUNCHER, str(descriptor)],
            stdin=stdin,
            stdout=stdout,
            check=False,
            shown_as=shown,
            hand_over=[descriptor, *descriptors],
            timeout=timeout,
        )
        _check_refusal(done)
        if check and done.returncode != 0:
            raise failure(shown, done)
        return done


@dataclass(frozen=True, slots=True)
class Tools:
    """The host's programs, read-only, with the workspace at its own path; what mke2fs needs to see mapped ids."""

    sandbox: Sandbox

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        shown_as: str | None = None,
    ) -> Completed:
        """Run a program of the host in the user namespace of the root, without network; see `ToolRunner`.

        Raises:
            SandboxError: SANDBOX_REFUSED.
            ToolError: TOOL_MISSING, TOOL_FAILED, TOOL_KILLED.
        """
        find_tool(str(argv[0]))
        words = [str(word) for word in argv]
        workspace = str(self.sandbox.workspace)
        mounts = [*host_mounts(), *system_mounts(), bind(".", workspace)]
        plan = {"root": None, "mounts": mounts, "argv": words, "cwd": workspace}
        return self.sandbox._launch(plan, env, shown_as or shlex.join(words), stdin=stdin)  # noqa: SLF001 - two faces of one thing

    def act(self, name: str, *, descriptors: Sequence[int] = (), **arguments: Any) -> Answer:
        """Carry out one of our own actions (inside.py) among the host's programs.

        Raises:
            SandboxError: SANDBOX_REFUSED.
            AssemblyError: ASSEMBLE_ACTION_FAILED.
        """
        mounts = [*host_mounts(), *system_mounts(), bind("packages", PACKAGES, readonly=True)]
        return self.sandbox._act({"root": None, "mounts": mounts}, name, arguments, descriptors)  # noqa: SLF001 - as above


def _check_refusal(done: Completed) -> None:
    """Tell why there was no sandbox; programs of the root may print the same words, but hardly with that status."""
    if done.returncode != EXIT_REFUSED:
        return
    for line in done.stderr.splitlines():
        reasons = _reasons(line)
        if "sandbox-refused" in reasons:
            raise SandboxError(
                "SANDBOX_REFUSED",
                f"the sandbox that packages are installed in can't be set up: {reasons['sandbox-refused']}",
                hint="user namespaces must be allowed (sysctl user.max_user_namespaces, AppArmor) and, in a container, "
                "the pod must be privileged or have CAP_SYS_ADMIN, CAP_SETUID and an unmasked /proc; "
                "'image-composer doctor' tries it",
            )
        if "root-refused" in reasons:
            raise AssemblyError(
                "ASSEMBLE_ROOT_UNUSABLE",
                f"programs can't be run in the root: {reasons['root-refused']}",
                hint="one of the packages, or its script, has put it there",
            )


def _reasons(line: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
