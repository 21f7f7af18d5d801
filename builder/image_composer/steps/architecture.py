"""Whether, and how, the programs of an image run on the machine that builds it."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from image_composer.errors import Problem, SandboxError, SpecError
from image_composer.root import operations
from image_composer.root.foreign import ENDS_WELL, Machine, Way, hint, own_handler, smallest_program, way_to_run
from image_composer.root.sandbox import Sandbox
from image_composer.spec.image import Architecture


def check_architecture(wanted: Architecture, path: str, machine: Machine) -> None:
    """See that a machine can run the programs of an image, as building it takes.

    Args:
        wanted: the image's architecture.
        path: of the field that names it.
        machine: the one that builds.

    Raises:
        SpecError: SPEC_FOREIGN_ARCHITECTURE.
    """
    answer = way_to_run(wanted, machine)
    if answer.way is None:
        message = f"images for {wanted} can't be built here: this machine is {machine.name}, {answer.reason}"
        raise SpecError([Problem(path, message, "SPEC_FOREIGN_ARCHITECTURE")], hint=hint(wanted))


def able_sandbox(sandbox: Sandbox, wanted: Architecture, machine: Machine) -> Sandbox:
    """Give the sandbox with what it takes to run programs of an architecture, tried with one.

    Raises:
        SandboxError: SANDBOX_FOREIGN, none runs; SANDBOX_REFUSED.
    """
    answer = way_to_run(wanted, machine)
    if answer.way is Way.NATIVE:
        return sandbox
    if answer.emulator is not None:
        sandbox = replace(sandbox, handler=own_handler(wanted, answer.emulator))
    with tempfile.TemporaryDirectory(prefix="foreign-", dir=sandbox.workspace) as scratch:
        trial = replace(sandbox, workspace=Path(scratch))
        trial.prepare("root", "packages", "exchange")
        trial.act("apply", operations=[operations.write("/program", smallest_program(wanted), mode=0o755)])
        done = trial.run(["/program"], check=False)
        with suppress(SandboxError):
            trial.act("apply", operations=[operations.remove("/*")])
    if done.returncode != ENDS_WELL:
        raise SandboxError(
            "SANDBOX_FOREIGN",
            f"programs of {wanted} don't run in the sandbox of this machine, which is {machine.name}: {answer.reason}",
            hint=hint(wanted),
        )
    return sandbox
