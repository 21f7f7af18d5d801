"""How long composing the example takes, cold and warm, beside mmdebstrap making a bare root of the same packages.

Reported, never asserted: `make bench`. Runs take turns, so that a machine whose speed drifts slows both; medians and
ratios are what to quote.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.hostmirror import mirrors

pytestmark = [pytest.mark.network, pytest.mark.build]

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
EXAMPLE = Path(__file__).parents[2] / "examples" / "debian-12.yaml"
PROGRAM = Path(sys.executable).with_name("image-composer")


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run of a command."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    """Of its largest process."""

    written_mib: float
    """Sent to block devices, by it and all it started."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that is gone after the runs, for they fill it."""
    path = tmp_path_factory.mktemp("bench")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def measured(argv: list[str], environment: Mapping[str, str]) -> Run:
    """Run a command and measure it with all its descendants."""
    before = written_bytes()
    started = time.monotonic()
    log = Path(environment["TMPDIR"]) / "bench.log"
    with log.open("wb") as said:
        process = subprocess.Popen(argv, env={**os.environ, **environment}, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, log.read_text(errors="replace")[-3000:]
    written = (written_bytes() - before) / 2**20
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, written)


def written_bytes() -> int:
    """Give the bytes that this process and the children it has waited for sent to block devices, see proc(5)."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def shown(name: str, runs: list[Run], peer: list[Run]) -> str:
    ratio = statistics.median(run.seconds for run in runs) / statistics.median(run.seconds for run in peer)
    times = [run.seconds for run in runs]
    return (
        f"{name:<44} {statistics.median(times):7.1f} {min(times):7.1f} {max(times):7.1f} "
        f"{statistics.median(run.cpu_seconds for run in runs):7.1f} {max(run.peak_mib for run in runs):9.0f} "
        f"{max(run.written_mib for run in runs):11.0f} {ratio:7.2f}"
    )


def test_composing_beside_mmdebstrap(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = {"TMPDIR": str(folder)}
    shared = {**base, "IMAGE_COMPOSER_CACHE_DIR": str(folder / "cache")}
    out = folder / "out"
    build = [str(PROGRAM), "build", "-f", str(EXAMPLE), "-o", str(out)]
    measured(build, shared)
    lock = json.loads(next(out.glob("*.lock.json")).read_text())
    result = json.loads((out / "result.json").read_text())
    peer_argv = mmdebstrap([package["name"] for package in lock["packages"]])
    warm, cold, peer = [], [], []
    timings = {}
    for number in range(ROUNDS):
        warm.append(measured(build, shared))
        timings = json.loads((out / "result.json").read_text())["timings"]
        peer.append(measured(peer_argv, {"TMPDIR": "/dev/shm"}))
        cold.append(measured(build, {**base, "IMAGE_COMPOSER_CACHE_DIR": str(folder / f"cache-{number}")}))
        shutil.rmtree(folder / f"cache-{number}")
    root = result["rootSize"] / 2**20
    with capsys.disabled():
        print(f"\n\n{len(lock['packages'])} packages, root of {root:.0f} MiB, {ROUNDS} rounds, {os.cpu_count()} cores")
        print(f"{'seconds':>52} {'least':>7} {'most':>7} {'cpu':>7} {'peak MiB':>9} {'written MiB':>11} {'ratio':>7}")
        print(shown("image-composer, warm cache, whole image", warm, peer))
        print(shown("image-composer, empty cache, whole image", cold, peer))
        print(shown("mmdebstrap, bare root without kernel", peer, peer))
        print("seconds by stage of the last warm build:", timings)


def mmdebstrap(packages: list[str]) -> list[str]:
    """Give the command that installs the same packages from the same mirror, in memory, and keeps nothing."""
    if shutil.which("mmdebstrap") is None:
        pytest.skip("mmdebstrap is not installed: apt-get install mmdebstrap")
    found = mirrors(os.environ)
    # In its favour: no kernel, no initramfs, no boot loader; dracut's hooks fail in its chroot.
    bare = [name for name in packages if not name.startswith(("linux-", "dracut", "systemd-boot"))]
    return [
        "mmdebstrap",
        "--variant=custom",
        "--format=null",
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        f"--include={','.join(bare)}",
        "bookworm",
        "-",
        f"deb {found['debian']} bookworm main",
        f"deb {found['debian']} bookworm-updates main",
        f"deb {found['debian-security']} bookworm-security main",
    ]
