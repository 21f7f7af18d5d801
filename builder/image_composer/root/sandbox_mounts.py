"""What programs in the sandbox see of file systems beside their root: mounts as launcher.py reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Mount = dict[str, Any]

DEVICES = ("null", "zero", "full", "random", "urandom")
MASKED_FILES = ("kcore", "keys", "kmsg", "sysrq-trigger", "timer_list", "partitions", "diskstats", "cmdline", "mdstat",
                "swaps", "modules", "kallsyms", "config.gz", "key-users", "interrupts", "latency_stats")  # fmt: skip
MASKED_FOLDERS = ("acpi", "scsi", "asound", "driver", "bus", "irq", "fs")
"""Parts of /proc that tell about the host's devices and disks."""


def system_mounts() -> list[Mount]:
    """Mounts that every program expects, without anything of the host in them."""
    mounts = [
        {"type": "proc", "target": "/proc"},
        _tmpfs("/dev", "mode=0755,size=1m"),
        *(bind(f"/dev/{name}", f"/dev/{name}") for name in DEVICES),
        _tmpfs("/dev/shm", "mode=1777"),  # noqa: S108 - a mount point
        *({"type": "symlink", "source": f"/proc/self/fd/{number}", "target": f"/dev/{name}"}
          for number, name in enumerate(("stdin", "stdout", "stderr"))),
        {"type": "symlink", "source": "/proc/self/fd", "target": "/dev/fd"},
        _tmpfs("/tmp", "mode=1777"),  # noqa: S108 - a mount point
        _tmpfs("/run", "mode=0755"),
        _tmpfs("/sys", "mode=0755,size=1m"),
    ]  # fmt: skip
    mounts += [bind("/dev/null", f"/proc/{name}", readonly=True, existing=True) for name in MASKED_FILES]
    mounts += [{"type": "tmpfs", "target": f"/proc/{name}", "existing": True} for name in MASKED_FOLDERS]
    mounts += [bind("/proc/sys", "/proc/sys", readonly=True)]
    return mounts


def host_mounts() -> list[Mount]:
    """The host's programs and libraries, and nothing else of it."""
    mounts = [bind("/usr", "/usr", readonly=True)]
    for name in ("bin", "sbin", "lib", "lib64"):
        path = Path("/") / name
        if path.is_symlink():
            mounts.append({"type": "symlink", "source": str(path.readlink()), "target": str(path)})
        elif path.exists():
            mounts.append(bind(str(path), str(path), readonly=True))
    settings = ("/etc/ld.so.cache", "/etc/mke2fs.conf", "/etc/alternatives")
    return mounts + [bind(path, path, readonly=True, optional=True) for path in settings]


def bind(source: str, target: str, **options: bool) -> Mount:
    """Show a file or folder of the host or the workspace at another place.

    Args:
        source: absolute, or below the workspace.
        target: where the sandbox sees it.
        options: `readonly`; `existing`, only over what is there; `optional`, only when there is a source.
    """
    return {"type": "bind", "source": source, "target": target, **options}


def _tmpfs(target: str, options: str) -> Mount:
    return {"type": "tmpfs", "target": target, "options": options}
