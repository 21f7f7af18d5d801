"""Whether an image shows what nobody else is to see: private keys, the builder's secrets, its folders.

Looked at is every file that no package brought, the files of the EFI system partition and the initramfs: what packages
bring was public before. Neither values nor keys are ever put into messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from image_composer.verify.checks import Check, judged, skipped
from image_composer.verify.subject import Subject

PRIVATE_KEY = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----\s+(?:[A-Za-z-]+: [^\n]*\n)*\s*[A-Za-z0-9+/=]{40}"
)
"""A key itself: programs that only know the words hold no line of base 64 behind them."""

SECRET_NAME = re.compile(r"(?i)(secret|token|passw|credential|api_?key|private_?key|access_?key)")
"""Variables of the environment whose values nobody else is to see."""

SHORTEST_SECRET = 8
"""Characters; a shorter value stands in files by chance."""

SHORTEST_PATH = 8


def secret_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Give the variables of an environment that hold a secret."""
    return {
        name: value
        for name, value in environment.items()
        if SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET and not value.startswith("/")
    }


def check_secrets(subject: Subject) -> Check:
    """Look for private keys and for the values of the builder's own secrets."""
    if subject.unreadable:
        return skipped("secrets", f"the files of {', '.join(subject.unreadable)} can't be read")
    problems = []
    for place, content in _searched(subject):
        # In the initramfs are copies of what packages bring: libgnutls has keys to test itself with.
        if place in subject.loose and PRIVATE_KEY.search(content):
            problems.append(f"{place} holds a private key")
        problems += [f"{place} holds the value of the builder's {name}" for name in found(content, subject.secrets)]
    return judged("secrets", problems, "no private key, nothing secret of the builder's environment")


def check_host_paths(subject: Subject) -> Check:
    """Look for the folders in which the image was built."""
    if subject.unreadable:
        return skipped("host-paths", f"the files of {', '.join(subject.unreadable)} can't be read")
    paths = {path: path for path in subject.host_paths if len(path) >= SHORTEST_PATH}
    problems = [
        f"{place} names {path}, a folder of the builder"
        for place, content in _searched(subject)
        for path in found(content, paths)
    ]
    return judged("host-paths", problems, "no folder of the builder is named")


def found(content: bytes, needles: Mapping[str, str]) -> list[str]:
    """Give the names of what a content holds."""
    return [name for name, needle in needles.items() if needle.encode() in content]


def _searched(subject: Subject) -> Iterator[tuple[str, bytes]]:
    yield from subject.loose_contents.items()
    for path, content in subject.initrds.items():
        yield f"the initramfs of {path}", content
    for uki in subject.ukis:
        yield f"the command line of {uki.path}", (uki.command_line or "").encode()


def host_folders(workspace: str, cache: str, parts: Sequence[str]) -> list[str]:
    """Give the paths that would show where an image was built.

    A builder pod's workspace is `/workspace`, which is a word that any file may hold: what lies in it counts.

    Args:
        workspace: the folder.
        cache: that of the cache.
        parts: what lies in the workspace.
    """
    return [*(f"{workspace}/{part}" for part in parts), f"{cache}/"]
