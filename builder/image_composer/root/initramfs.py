"""The initramfs, made once, inside the root, for any machine of the architecture."""

from __future__ import annotations

from image_composer.provider import InitramfsFacts
from image_composer.root.sandbox import EXCHANGE, Sandbox

NAME = "initrd"
"""File in the exchange folder."""

COMPRESSION = "zstd -3 -T0 -q"
"""Level 3 is within a few percent of the size of higher levels in a fraction of their time; the output does not
depend on the number of threads."""


def make_initramfs(sandbox: Sandbox, facts: InitramfsFacts, kernel_version: str) -> None:
    """Run dracut; leaves the initramfs in the exchange folder.

    --no-hostonly: the machine that builds is not the one that boots. --reproducible: same input, same bytes.

    Raises:
        ToolError: dracut failed.
    """
    argv = ["dracut", "--force", "--no-hostonly", "--reproducible", "--no-early-microcode", "--quiet"]
    argv += ["--kver", kernel_version, "--compress", COMPRESSION]
    for option, words in (("add", facts.modules), ("omit", facts.omit_modules), ("add-drivers", facts.drivers)):
        if words:
            argv += [f"--{option}", " ".join(words)]
    sandbox.run([*argv, f"{EXCHANGE}/{NAME}"])
