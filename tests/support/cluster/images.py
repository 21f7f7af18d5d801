"""Writes container images without any program for it: one layer, in the form of `docker save`, the same every time."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from image_composer.run import Runner, find_tool

from .containers import PAUSE

PATHS = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_image(
    archive: Path, reference: str, files: Mapping[str, Path | str | None], *, command: Sequence[str] = ("/bin/sh",)
) -> Path:
    """Write an image whose files all belong to root.

    Args:
        archive: the file to write.
        reference: name and tag, for example `localhost/probe:dev`.
        files: by path in the image: a file to copy, the target of a symbolic link, or None for a folder.
        command: what a container runs by default.
    """
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name, content in sorted(files.items()):
            _add(tar, name, content)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = {
        "architecture": MACHINES.get(os.uname().machine, os.uname().machine),
        "os": "linux",
        "config": {"Env": [PATHS], "Cmd": list(command)},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    text = json.dumps(config).encode()
    name = hashlib.sha256(text).hexdigest()
    manifest = [{"Config": f"{name}.json", "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}]
    parts = {
        f"{name}.json": text,
        "manifest.json": json.dumps(manifest).encode(),
        f"{digest}/layer.tar": layer.getvalue(),
    }
    with tarfile.open(archive, "w") as tar:
        for path, part in parts.items():
            member = tarfile.TarInfo(path)
            member.size = len(part)
            tar.addfile(member, io.BytesIO(part))
    return archive


def write_pause(tools: Path, archive: Path) -> Path:
    """Write the image that holds a pod's namespaces."""
    return write_image(archive, PAUSE, {"pause": (tools / "pause").resolve()}, command=["/pause"])


def write_programs(archive: Path, reference: str, programs: Iterable[str]) -> Path:
    """Write an image of a few of this machine's programs and the libraries that they need."""
    files: dict[str, Path | str | None] = {"tmp": None, "bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
    for program in programs:
        found = Path(find_tool(program))
        files[f"usr/bin/{program}"] = found.resolve()
        listed = Runner().run(["ldd", found], check=False).stdout.decode()  # fails for a static program
        for library in re.findall(r"(/\S+) \(0x", listed):
            files[f"usr/{library.removeprefix('/usr').lstrip('/')}"] = Path(library).resolve()
    return write_image(archive, reference, files)


def _add(tar: tarfile.TarFile, name: str, content: Path | str | None) -> None:
    member = tarfile.TarInfo(name)
    member.mode = 0o755
    if content is None:
        member.type, member.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(member)
    elif isinstance(content, str):
        member.type, member.linkname = tarfile.SYMTYPE, content
        tar.addfile(member)
    else:
        member.size = content.stat().st_size
        with content.open("rb") as file:
            tar.addfile(member, file)
