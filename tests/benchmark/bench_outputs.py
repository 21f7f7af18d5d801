"""What several outputs of one build cost beside the raw disk alone: the stages that make and attest them, in turn.

Reported, never asserted: `make bench`.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.composer import write_document

pytestmark = [pytest.mark.network, pytest.mark.build]

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
PROGRAM = Path(sys.executable).with_name("image-composer")
ALONE: tuple[str, ...] = ("raw",)
TOGETHER: tuple[str, ...] = ("raw", "vhd", "qcow2", "iso")


def document(*formats: str) -> dict[str, object]:
    target = {"distribution": "debian", "release": "12", "architecture": "x86_64"}
    outputs = [{"format": name} for name in formats]
    return {"name": "edge", "version": "1.0", "target": target, "packages": ["openssh-server"], "outputs": outputs}


def stage(name: str, workspace: Path, *options: str | Path) -> float:
    """Run a stage and give its seconds."""
    began = time.monotonic()
    argv = [PROGRAM, "stage", name, "--workspace", workspace, *options]
    subprocess.run(argv, check=True, capture_output=True)
    return time.monotonic() - began


def test_outputs_together_and_the_raw_disk_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {
        formats: write_document(tmp_path, document(*formats), f"{len(formats)}.json") for formats in (ALONE, TOGETHER)
    }
    workspace = tmp_path / "workspace"
    stage("validate", workspace, "-f", files[TOGETHER])
    before = sum(stage(name, workspace) for name in ("resolve", "fetch", "assemble"))
    seconds: dict[tuple[str, ...], list[float]] = {formats: [] for formats in files}
    for _ in range(ROUNDS):
        for formats, file in files.items():
            stage("validate", workspace, "-f", file)
            for name in ("images", "parts", "evidence"):
                shutil.rmtree(workspace / name, ignore_errors=True)
            seconds[formats].append(sum(stage(name, workspace) for name in ("image", "attest")))
    alone, together = (statistics.median(seconds[formats]) for formats in (ALONE, TOGETHER))
    with capsys.disabled():
        print(f"\nresolve, fetch and assemble: {before:.1f} s")
        for formats, taken in seconds.items():
            shown = " ".join(f"{value:.1f}" for value in taken)
            print(f"image and attest, {', '.join(formats)}: {shown} s")
        print(f"ratio {together / alone:.2f}; of whole builds {(before + together) / (before + alone):.2f}")
    shutil.rmtree(workspace)
