"""SELinux: its mode, and the label of every file, worked out by the image's own programs and policy.

Labels can't be set here: the kernel lets nobody in a user namespace write them. They are written into the file systems
when these are made, so that the machine need not relabel itself at its first start.
"""

from __future__ import annotations

import base64
import re

from image_composer.errors import AssemblyError
from image_composer.root import operations
from image_composer.root.sandbox import Sandbox
from image_composer.spec.system import Selinux, SelinuxMode

CONFIGURATION = "/etc/selinux/config"
LIST = "/var/tmp/image-composer-paths"  # noqa: S108 - a file of the root, gone before anybody sees it
UNLABELLED = "<<none>>"
CONTEXT = re.compile(r"[A-Za-z0-9_.-]+(:[A-Za-z0-9_.,:-]+){2,4}")
"""What a label looks like: user, role, type and level."""


def set_mode(sandbox: Sandbox, wanted: Selinux) -> None:
    """Write the mode into SELinux's configuration; the policy stays the one that its package has chosen.

    Raises:
        AssemblyError: ASSEMBLE_NO_SELINUX.
    """
    text = _read(sandbox, CONFIGURATION)
    if text is None:
        if wanted.mode is SelinuxMode.DISABLED:
            return
        raise AssemblyError(
            "ASSEMBLE_NO_SELINUX",
            f"selinux.mode is {wanted.mode}, but the image has no {CONFIGURATION}",
            hint="add the distribution's policy, for example selinux-policy-targeted or selinux-policy-default",
        )
    lines = [line for line in text.splitlines() if not line.startswith("SELINUX=")]
    written = operations.write(CONFIGURATION, "\n".join([*lines, f"SELINUX={wanted.mode}"]) + "\n")
    sandbox.act("apply", operations=[written])


def labels(sandbox: Sandbox) -> dict[str, str]:
    """Give the label of every file of the root by its path, as the image's policy says it.

    Raises:
        AssemblyError: ASSEMBLE_NO_SELINUX, ASSEMBLE_SELINUX.
    """
    policy = _policy(_read(sandbox, CONFIGURATION) or "")
    contexts = f"/etc/selinux/{policy}/contexts/files/file_contexts"
    paths: list[str] = sandbox.act("paths")["paths"]
    listing = operations.write(LIST, b"".join(path.encode(errors="surrogateescape") + b"\0" for path in paths))
    sandbox.act("apply", operations=[listing])
    try:
        # Silent about paths that have no label, and then its status is not 0: the number of answers counts.
        done = sandbox.run(["xargs", "-0", "-a", LIST, "matchpathcon", "-n", "-f", contexts], check=False)
    finally:
        sandbox.act("apply", operations=[operations.remove(LIST)])
    answers = done.stdout.decode(errors="replace").splitlines()
    if len(answers) != len(paths):
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise AssemblyError(
            "ASSEMBLE_SELINUX",
            f"matchpathcon labelled {len(answers)} of {len(paths)} files: {said[-1] if said else 'it said nothing'}",
            hint="the image needs matchpathcon (libselinux-utils, selinux-utils) and a policy",
        )
    found = dict(zip(paths, answers, strict=True))
    return {path: label for path, label in found.items() if label != UNLABELLED and CONTEXT.fullmatch(label)}


def _policy(text: str) -> str:
    found = re.search(r"^SELINUXTYPE=([A-Za-z0-9_-]+)\s*$", text, re.MULTILINE)
    if found is None:
        raise AssemblyError("ASSEMBLE_NO_SELINUX", f"{CONFIGURATION} of the image names no policy (SELINUXTYPE)")
    return found[1]


def _read(sandbox: Sandbox, path: str) -> str | None:
    content = sandbox.act("read", paths=[path])["contents"][path]
    return None if content is None else base64.b64decode(content).decode(errors="replace")
