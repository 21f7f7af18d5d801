"""What composing images needs of the machine, and whether it is there.

Looks and tries, changes nothing. What is needed is a table (requirements.py); a machine is an argument, so that tests
bring their own.
"""

from __future__ import annotations

import importlib
import os
import pwd
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Protocol

from image_composer.errors import SandboxError, ToolError
from image_composer.requirements import REQUIREMENTS, Need, Requirement
from image_composer.root.foreign import Machine, hint, this_machine, way_to_run
from image_composer.root.idmap import choose_ids, read_id_files
from image_composer.run import BASE_ENVIRONMENT, Completed
from image_composer.settings import GIB
from image_composer.spec.base import format_size
from image_composer.spec.image import Architecture

WORKSPACE_BYTES = 4 * GIB
"""Free bytes a build should find: root, raw disk and compressed copy of a server with a few hundred packages."""

CACHE_BYTES = 1 * GIB
"""Free bytes the cache should find: metadata and packages of two or three different images."""

PROBE_SECONDS = 20.0
"""How long trying the namespaces may take; it takes milliseconds unless the machine hangs."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    subject: str
    need: Need
    ok: bool
    finding: str
    """Where it was found, or what was found instead."""

    remedy: str | None = None
    """What to do when it is not ok."""


class Prober(Protocol):
    """Runs a program: `image_composer.run.Runner`."""

    def run(self, argv: Sequence[str | Path], *, timeout: float | None = None) -> Completed:
        """Run one program to its end, or raise ToolError."""


@dataclass(frozen=True, slots=True)
class Host:
    """A machine as the checks see it."""

    prober: Prober
    cache: Path
    workspace: Path
    uid: int
    gid: int
    user: str
    id_files: Mapping[str, str]
    """As `read_id_files` gives them."""

    solver: ModuleType | None
    """The module `solv`; None when it can't be imported."""

    machine: Machine
    """What runs programs on it."""

    free_bytes: Callable[[Path], int]
    """Gives the bytes that may be written below a folder, which need not exist yet."""

    path: str = BASE_ENVIRONMENT["PATH"]
    """Folders that programs are looked for in: those that the runner uses."""

    root: Path = Path("/")
    """What absolute paths of the machine start from."""


def this_host(prober: Prober, *, cache: Path, workspace: Path) -> Host:
    """Describe the machine that this runs on."""
    return Host(
        prober=prober,
        cache=cache,
        workspace=workspace,
        uid=os.geteuid(),
        gid=os.getegid(),
        user=_login_name(),
        id_files=read_id_files(),
        solver=_import_solver(),
        machine=this_machine(),
        free_bytes=free_bytes,
    )


def checks(host: Host) -> list[Check]:
    """Look at everything that building, booting and testing need, in the order that people should read it."""
    wanted = [item for item in REQUIREMENTS if host.uid != 0 or not item.rootless]
    found = [check_requirement(item, host) for item in wanted]
    found += [check_solver(host.solver), check_namespaces(host.prober), check_ids(host)]
    found += check_space(host)
    found.append(check_kvm(host))
    found += check_foreign(host.machine)
    order = list(Need)
    return sorted(found, key=lambda check: order.index(check.need))


def can_build(found: Sequence[Check]) -> bool:
    """Say whether all is there that composing an image needs."""
    return all(check.ok for check in found if check.need is Need.BUILD)


def render(found: Sequence[Check]) -> str:
    """Give the checks, as `checks` orders them, as text for people that ends with the one sentence that counts."""
    return "\n".join([*_lines(found), ""])


def check_requirement(item: Requirement, host: Host) -> Check:
    """Look for a program or a file."""
    if item.places:
        there = next((place for place in item.places if (host.root / place.lstrip("/")).exists()), None)
    else:
        there = shutil.which(item.name, path=host.path)
    if there is not None:
        return Check(item.name, item.need, ok=True, finding=there)
    names = item.packages
    remedy = (
        f"install it: Debian {names.debian}, Fedora {names.fedora or '(no package known)'}, "
        f"Azure Linux {names.azure_linux or '(no package known)'}"
    )
    return Check(item.name, item.need, ok=False, finding=f"not found; {item.reason}", remedy=remedy)


def check_solver(solver: ModuleType | None) -> Check:
    """Try whether libsolv's bindings are there and read deb repositories."""
    if solver is None:
        finding = "the Python module solv can't be imported"
    elif not hasattr(solver.Repo, "add_debpackages"):
        finding = "this build of solv has no Debian support"
    elif solver.Pool().setdisttype(solver.Pool.DISTTYPE_DEB) != 0:
        finding = "this build of solv can't compare Debian versions"
    else:
        return Check("solv", Need.BUILD, ok=True, finding="with Debian support")
    remedy = "'make setup' builds it with Debian support, see docs/development.md; Debian's python3-solv has it too"
    return Check("solv", Need.BUILD, ok=False, finding=finding, remedy=remedy)


def check_namespaces(prober: Prober) -> Check:
    """Really make the namespaces that the sandbox consists of, with a /proc of their own."""
    kinds = ("--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--mount-proc")
    try:
        prober.run(["unshare", *kinds, "true"], timeout=PROBE_SECONDS)
    except ToolError as error:
        finding = f"can't be made: {error.message.splitlines()[-1]}"
        remedy = (
            "in a container: run it privileged; on a host: raise the limits user.max_*_namespaces, which "
            "'No space left' means, and see to kernel.unprivileged_userns_clone and "
            "kernel.apparmor_restrict_unprivileged_userns"
        )
        return Check("namespaces", Need.BUILD, ok=False, finding=finding, remedy=remedy)
    return Check("namespaces", Need.BUILD, ok=True, finding="user, mount, pid, net, ipc and uts can be made")


def check_ids(host: Host) -> Check:
    """See whether there are ids of the host that can stand behind those of an image."""
    try:
        ids = choose_ids(host.uid, host.gid, host.id_files, host.user)
    except SandboxError as error:
        return Check("user ids", Need.BUILD, ok=False, finding=error.message, remedy=error.hint)
    return Check("user ids", Need.BUILD, ok=True, finding=f"a range from {ids.uid_base} stands for those of an image")


def check_space(host: Host) -> Iterator[Check]:
    """Compare the space left with what an ordinary build takes."""
    moved_by = {"cache": "IMAGE_COMPOSER_CACHE_DIR", "workspace": "--workspace"}
    for name, folder, wanted in (("cache", host.cache, CACHE_BYTES), ("workspace", host.workspace, WORKSPACE_BYTES)):
        free = host.free_bytes(folder)
        finding = f"{format_size(free)} free at {folder}, {format_size(wanted)} wanted"
        remedy = None if free >= wanted else f"free space there, or move the {name}: {moved_by[name]}"
        yield Check(f"{name} space", Need.BUILD, ok=free >= wanted, finding=finding, remedy=remedy)


def check_kvm(host: Host) -> Check:
    """See whether the KVM device is there; whether it works, only running a machine tells."""
    if (host.root / "dev/kvm").exists():
        return Check("KVM", Need.BOOT, ok=True, finding="/dev/kvm")
    remedy = "not needed, but without it a boot test takes minutes instead of seconds"
    return Check("KVM", Need.BOOT, ok=False, finding="there is no /dev/kvm", remedy=remedy)


def check_foreign(machine: Machine) -> Iterator[Check]:
    """See whether images of other architectures can be composed; nobody needs it for those of the machine's own."""
    for architecture in Architecture:
        if architecture == machine.name:
            continue
        answer = way_to_run(architecture, machine)
        remedy = None if answer.way else hint(architecture)
        subject = f"programs of {architecture}"
        yield Check(subject, Need.FOREIGN, ok=answer.way is not None, finding=answer.reason, remedy=remedy)


def free_bytes(folder: Path) -> int:
    """Give the bytes that we may still write below a folder, or below the nearest parent that exists."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


TITLES: Mapping[Need, str] = {
    Need.BUILD: "To compose images",
    Need.SIGN: "To sign them for Secure Boot",
    Need.BOOT: "To boot them in QEMU",
    Need.FOREIGN: "To compose and boot images of other architectures (optional)",
    Need.TESTS: "To run the test suite",
}


def _lines(found: Sequence[Check]) -> Iterator[str]:
    width = max((len(check.subject) for check in found), default=0)
    for need, group in groupby(found, key=lambda check: check.need):
        yield TITLES[need]
        for check in group:
            yield f"  {'ok' if check.ok else '--'}  {check.subject:<{width}}  {check.finding}"
            if not check.ok and check.remedy:
                yield f"{'':{width + 8}}{check.remedy}"
        yield ""
    lacking = [check.subject for check in found if check.need is Need.BUILD and not check.ok]
    yield f"Images can't be composed here yet: {', '.join(lacking)}." if lacking else "Images can be composed here."


def _import_solver() -> ModuleType | None:
    try:
        return importlib.import_module("solv")
    except ImportError:
        return None


def _login_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's user need not have a name
        return str(os.geteuid())
