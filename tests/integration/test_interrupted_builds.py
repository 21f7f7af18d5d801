"""Builds killed or interrupted at any moment: nothing of them runs on, is mounted, or in the way of the next."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.composer import Composer, events, mounts_of, orphans_are_ours, snapshot, until, write_document
from support.debrepo import served
from support.debs import Deb
from support.distribution import document, with_repository
from support.openpgp import Key, Keychain
from support.rawdebs import Member, RawDeb, folder, write_raw_repository

pytestmark = [pytest.mark.network, pytest.mark.build]

FOREVER = "#!/bin/sh\n(exec setsid sleep 86399) &\nexec sleep 86400\n"
"""A script that hangs, and has started something else that does not want to be found."""

SLOW_FIRST = RawDeb(Deb("slow-first", scripts={"preinst": FOREVER}), (folder("./"),))
SLOW_LAST = RawDeb(Deb("slow-last", scripts={"postinst": FOREVER}), (folder("./"),))
SLOW_INITRAMFS = RawDeb(
    Deb("slow-initramfs"),
    (
        *(folder(f"./{name}") for name in ("", "usr", "usr/local", "usr/local/sbin")),
        Member("./usr/local/sbin/dracut", FOREVER.encode(), mode=0o755),
    ),
)


@dataclass(frozen=True)
class Moment:
    """A moment of a build."""

    reached: Callable[[dict[str, Any]], bool]
    """Says whether an event tells that it has come."""

    package: str | None = None
    """A package that makes it last."""

    def wait(self, process: subprocess.Popen[str], descendants: Callable[[], set[str]]) -> None:
        assert any(self.reached(event) for event in events(process)), "the build ended before"
        if self.package:
            until(lambda: "sleep 86400" in str(descendants()), lambda: f"nothing hangs: {descendants()}")


def saying(text: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: text in event["message"]


MOMENTS = {
    "resolving": Moment(saying("resolving packages")),
    "fetching": Moment(saying("fetching packages")),
    "reading packages": Moment(saying("reading packages")),
    "unpacking": Moment(saying("unpacking")),
    "in a first script": Moment(saying("unpacking"), "slow-first"),
    "in a last script": Moment(saying("configuring"), "slow-last"),
    "applying settings": Moment(saying("applying settings")),
    "making the initramfs": Moment(saying("making the initramfs"), "slow-initramfs"),
    "making the disk": Moment(saying("making the disk")),
    "making file systems": Moment(
        lambda event: event["kind"] == "command" and event["message"].startswith("mkfs.vfat")
    ),
    "writing an image": Moment(saying("writing edge")),
    "attesting": Moment(saying("writing images and what attests them")),
    "publishing": Moment(saying("publishing")),
}


@pytest.fixture(scope="module")
def slow_mirror(tmp_path_factory: pytest.TempPathFactory, keychain: Keychain, key: Key) -> Iterator[str]:
    place = tmp_path_factory.mktemp("slow")
    write_raw_repository(place, keychain, key, SLOW_FIRST, SLOW_LAST, SLOW_INITRAMFS)
    with served(place) as url:
        yield url


@dataclass(frozen=True)
class Scene:
    """A composer about to be disturbed, and what has been published before."""

    composer: Composer
    place: Path
    mirror: str
    key: Key

    @property
    def out(self) -> Path:
        return self.place / "out"

    def start(self, moment: Moment) -> subprocess.Popen[str]:
        wanted = document() if moment.package is None else with_repository(self.mirror, self.key, moment.package)
        file = write_document(self.place, wanted)
        return self.composer.start("build", "-f", file, "-o", self.out)


@pytest.fixture(scope="module")
def scene(
    bootable: Composer, finished: Path, tmp_path_factory: pytest.TempPathFactory, slow_mirror: str, key: Key
) -> Scene:
    scene = Scene(bootable, tmp_path_factory.mktemp("place"), slow_mirror, key)
    assert bootable.run("stage", "publish", "--workspace", finished, "--output", scene.out).status == 0
    return scene


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_build_leaves_no_process_and_no_mount_and_its_folder_goes_with_the_next(
    scene: Scene, moment: str
) -> None:
    published = snapshot(scene.out)
    with orphans_are_ours() as descendants:
        known = descendants()
        with scene.start(MOMENTS[moment]) as process:
            MOMENTS[moment].wait(process, descendants)
            process.kill()
        until(lambda: not descendants() - known, lambda: f"still running: {descendants() - known}")
    assert mounts_of(scene.composer.cache, scene.place) == []
    assert snapshot(scene.out) == published or is_whole(scene.out)  # it may have got as far as that
    assert scene.composer.run("validate", scene.place / "edge.json").status == 0
    assert scene.composer.workspaces() == []


def test_the_next_build_of_a_killed_one_succeeds(scene: Scene) -> None:
    for moment in (MOMENTS["unpacking"], MOMENTS["in a last script"]):
        with scene.start(moment) as process, orphans_are_ours() as descendants:
            moment.wait(process, descendants)
            process.kill()
    file = write_document(scene.place, document())
    outcome = scene.composer.run("build", "-f", file, "-o", scene.out)
    assert outcome.status == 0, outcome.said
    assert scene.composer.workspaces() == []


def is_whole(folder: Path) -> bool:
    """Say whether everything in a published folder is as its checksums say."""
    return subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=False).returncode == 0


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("in a last script", signal.SIGINT),
        ("in a last script", signal.SIGTERM),
        ("in a last script", signal.SIGHUP),
        ("making the disk", signal.SIGINT),
    ],
)
def test_an_interrupted_build_ends_at_once_and_takes_everything_with_it(
    scene: Scene, moment: str, number: signal.Signals
) -> None:
    published = snapshot(scene.out)
    with orphans_are_ours() as descendants:
        known = descendants()
        with scene.start(MOMENTS[moment]) as process:
            MOMENTS[moment].wait(process, descendants)
            process.send_signal(number)
            said = list(events(process))
        assert process.returncode == 130
        assert [event["code"] for event in said if event["kind"] == "error"] == ["INTERRUPTED"]
        assert scene.composer.workspaces() == []
        until(lambda: not descendants() - known, lambda: f"still running: {descendants() - known}")
    assert mounts_of(scene.composer.cache, scene.place) == []
    assert snapshot(scene.out) == published
