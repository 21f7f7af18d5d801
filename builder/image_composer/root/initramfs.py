"""The initramfs, made once, inside the root, for any machine of the architecture."""

from __future__ import annotations

from collections.abc import Sequence

from image_composer.manifest import InitramfsFacts
from image_composer.root.immutable import CHECKERS, DRACUT_MODULE, DRIVERS, INITRD_TREE, Early, initrd_operations
from image_composer.root.sandbox import EXCHANGE, Sandbox

NAME = "initrd"
"""File in the exchange folder."""

COMPRESSION = "zstd -3 -T0 -q"
"""Level 3 is within a few percent of the size of higher levels in a fraction of their time; the output does not
depend on the number of threads."""


def make_initramfs(
    sandbox: Sandbox,
    facts: InitramfsFacts,
    kernel_version: str,
    *,
    early: Early | None = None,
    settings: Sequence[str] = (),
    drivers: Sequence[str] = (),
) -> None:
    """Run dracut; leaves the initramfs in the exchange folder.

    --no-hostonly: the machine that builds is not the one that boots. --reproducible: same input, same bytes.

    Args:
        sandbox: over the root.
        facts: of the distribution.
        kernel_version: as `uname -r` prints it.
        early: what it has to do for a root that is never written to.
        settings: files of the root that it needs, since without --hostonly dracut leaves out what is in /etc.
        drivers: kernel modules beside those of the distribution.

    Raises:
        ToolError: dracut failed.
    """
    argv = ["dracut", "--force", "--no-hostonly", "--reproducible", "--no-early-microcode", "--quiet"]
    argv += ["--kver", kernel_version, "--compress", COMPRESSION]
    modules, wanted, installed = [*facts.modules], [*facts.drivers, *drivers], [*settings]
    if early is not None:
        tree = f"{EXCHANGE}/{INITRD_TREE}"
        sandbox.act("apply", system=True, exchange=True, operations=initrd_operations(tree, early))
        argv += ["--include", tree, "/"]
        installed += CHECKERS
        modules.append(DRACUT_MODULE)
        wanted += DRIVERS
    lists = (("install", installed), ("add", modules), ("omit", facts.omit_modules), ("add-drivers", wanted))
    for option, words in lists:
        if words:
            argv += [f"--{option}", " ".join(words)]
    sandbox.run([*argv, f"{EXCHANGE}/{NAME}"])
