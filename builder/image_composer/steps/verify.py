"""verify: whether the finished image is what it should be, before anybody gets it."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from image_composer.errors import VerifyError
from image_composer.formats.naming import base_name
from image_composer.inspect.raw import RawImage, open_raw
from image_composer.spec.base import parse_duration
from image_composer.steps.attest import SBOM_SUFFIX
from image_composer.steps.build import Build
from image_composer.verify.bootfiles import check_boot_files, check_command_lines, check_signatures, check_verity
from image_composer.verify.boottest import Place, boot_test, last_lines
from image_composer.verify.checks import Verification, refuse_failures, run_checks
from image_composer.verify.filesystems import check_filesystems
from image_composer.verify.leftovers import check_identity, check_rights, check_traces
from image_composer.verify.packages import check_packages
from image_composer.verify.secrets import check_host_paths, check_secrets, host_folders
from image_composer.verify.size import check_sizes
from image_composer.verify.subject import Subject
from image_composer.verify.table import check_table
from image_composer.verify.verdict import BootOutcome, BootReport
from image_composer.workspace import FinishedImages

VERIFY_SUFFIX = ".verify.json"
SHOWN_ERRORS = 8
"""Lines of a journal, or complaints of a console, that an error shows; verify.json has more."""

CHECKS = {
    "partition-table": check_table,
    "file-systems": check_filesystems,
    "verity": check_verity,
    "boot-files": check_boot_files,
    "command-line": check_command_lines,
    "signatures": check_signatures,
    "packages": check_packages,
    "identity": check_identity,
    "rights": check_rights,
    "traces": check_traces,
    "secrets": check_secrets,
    "host-paths": check_host_paths,
    "size": check_sizes,
}
"""All of them, in the order in which they are told; docs/verification.md says what each looks at."""


def verify(build: Build) -> None:
    """Check the disk, start it when that is asked for, and write down what was found.

    Raises:
        VerifyError: VERIFY_FAILED, VERIFY_BOOT_FAILED or VERIFY_NO_FIRMWARE.
        ComposerError: WORKSPACE_INCOMPLETE.
        ToolError: a program is missing.
    """
    workspace = build.workspace
    names = workspace.read(workspace.finished, FinishedImages).files
    workspace.verdict.unlink(missing_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="verify-", dir=workspace.folder) as scratch,
        open_raw(workspace.disk, build.runner) as image,
    ):
        subject = subject_of(build, image, names, Path(scratch))
        checks = {name: partial(check, subject) for name, check in CHECKS.items()}
        verification = run_checks(checks, jobs=build.settings.jobs)
        workspace.write(workspace.verdict, verification)
        refuse_failures(verification)
        if build.spec.image.verify.boot:
            started = start(build, Path(scratch))
            verification = verification.model_copy(update={"boot": started})
            workspace.write(workspace.verdict, verification)
            refuse_start(started, workspace.console_log)
    build.reporter.conclude(told(verification))


def subject_of(build: Build, image: RawImage, names: Sequence[str], scratch: Path) -> Subject:
    """Give what is looked at."""
    workspace, spec = build.workspace, build.spec.image
    base = base_name(spec)
    folder = str(workspace.folder.absolute())
    return Subject(
        image=image,
        spec=spec,
        family=build.manifest.family,
        mounts={found.label: found.mount_point for found in build.partitions if found.mount_point},
        lock=build.lock,
        sbom=json.loads((workspace.evidence / f"{base}{SBOM_SUFFIX}").read_bytes()),
        files={name: (workspace.images / name).stat().st_size for name in names},
        host_paths=host_folders(
            folder, str(build.settings.cache_dir), ("root", "boot", "parts", "packages", "exchange")
        ),
        secrets=build.secrets,
        scratch=scratch,
        jobs=build.settings.jobs,
    )


def start(build: Build, scratch: Path) -> BootReport:
    """Start the disk."""
    return boot_test(
        build.workspace.disk,
        Place(scratch, build.workspace.console_log),
        timeout=parse_duration(build.spec.image.verify.boot_timeout),
        token=secrets.token_hex(8),
        runner=build.runner,
        reporter=build.reporter,
        bios=not build.spec.image.boot_loader.uefi,
        architecture=build.spec.image.target.architecture,
    )


def refuse_start(started: BootReport, log: Path) -> None:
    """Refuse an image that does not come up.

    Raises:
        VerifyError: VERIFY_BOOT_FAILED, with what was seen.
    """
    if started.outcome is BootOutcome.PASSED:
        return
    errors = "".join(f"\n  {error}" for error in started.errors[-SHOWN_ERRORS:])
    last = "" if started.marker == "witness" else f"\nthe console's last lines:\n{last_lines(log.read_bytes())}"
    raise VerifyError(
        "VERIFY_BOOT_FAILED",
        f"the image was started with {started.accelerator} and failed: {started.reason}{errors}{last}",
        hint="'image-composer build --workspace DIR' keeps the disk and console.log; 'image-composer boot' starts it",
    )


def told(verification: Verification) -> str:
    """Give the sentence that stands for the stage."""
    started = verification.boot
    ran = sum(check.outcome != "skipped" for check in verification.checks)
    seconds = f"; started in {started.seconds:.0f} s with {started.accelerator}" if started else ""
    return f"{ran} checks passed{seconds}"
