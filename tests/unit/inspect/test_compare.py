from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from uuid import UUID

import pytest

from image_composer.inspect.compare import Change, ImageDiff, compare_images, differences, render_diff
from image_composer.inspect.image import inspect_image, root_hash
from image_composer.inspect.render import render_text
from image_composer.run import Runner
from support.composer import Composer
from support.disks import say


@pytest.fixture(scope="module")
def other(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same image with another version of a package, a package less and one more, and another host name."""
    copy = tmp_path_factory.mktemp("other") / "other.raw"
    shutil.copyfile(image, copy)
    offset = 5 * 1024 * 1024
    status = say("debugfs", "-R", "cat /var/lib/dpkg/status", f"{copy}?offset={offset}")
    changed = status.replace("1:9.2p1-2+deb12u5", "1:9.9").replace("Package: adduser", "Package: chrony")
    for name, path, content in (("status", "/var/lib/dpkg/status", changed), ("hostname", "/etc/hostname", "core\n")):
        new = copy.with_name(name)
        new.write_text(content)
        say("sh", "-c", f"printf 'rm {path}\\nwrite {new} {path}\\n' | debugfs -w -f - '{copy}?offset={offset}'")
    return copy


def test_an_image_is_the_same_in_another_form(image: Path, tmp_path: Path) -> None:
    packed = tmp_path / "image.qcow2"
    say("qemu-img", "convert", "-f", "raw", "-O", "qcow2", image, packed)
    assert compare_images(image, packed, Runner()).same


def test_what_differs_is_named(image: Path, other: Path) -> None:
    found = {(change.section, change.subject): (change.old, change.new) for change in
             compare_images(image, other, Runner()).changes}  # fmt: skip
    assert found.pop(("partitions", "root")) is not None
    assert found == {
        ("system", "host name"): ("edge", "core"),
        ("packages", "adduser all"): ("3.134", None),
        ("packages", "chrony all"): (None, "3.134"),
        ("packages", "openssh-server amd64"): ("1:9.2p1-2+deb12u5", "1:9.9"),
    }


def test_the_command_ends_as_diff_does(image: Path, other: Path, tmp_path: Path) -> None:
    composer = Composer(tmp_path / "cache")
    assert composer.run("compare", image, image).printed == "no difference\n"
    different = composer.run("compare", image, other)
    assert (different.status, different.said) == (1, "")
    assert "packages:\n  - adduser all 3.134\n  + chrony all 3.134\n  ~ openssh-server amd64 1:9.2" in different.printed
    told = json.loads(composer.run("compare", "--json", image, other).printed)
    assert ImageDiff.model_validate(told).changes
    assert composer.run("compare", image, tmp_path / "missing").status == 2
    assert composer.run("compare", image, os.devnull).status == 2


def test_sections_are_told_in_order_and_what_is_equal_is_not() -> None:
    old = {"disk": {"size": "1", "id": "a"}, "packages": {"b": "1", "a": "1"}}
    new = {"disk": {"size": "2", "id": "a"}, "packages": {"b": "2"}}
    changes = differences(old, new)
    assert [(change.section, change.subject) for change in changes] == [
        ("disk", "size"), ("packages", "a"), ("packages", "b"),
    ]  # fmt: skip


def test_nothing_that_an_image_holds_steers_the_terminal() -> None:
    change = Change(section="system", subject="NAME", old="a", new="\x1b[2J")
    assert "\x1b" not in render_diff(ImageDiff(old="a", new="b", same=False, changes=[change]))


def test_an_immutable_root_is_told_with_its_hash_and_whether_the_partitions_have_it(image: Path) -> None:
    report = inspect_image(image, Runner())
    assert "Root:         can be written to\n" in render_text(report)
    top = "0123456789abcdef" * 4
    immutable = report.model_copy(update={"root_hash": top})
    assert f"immutable, checked by dm-verity, root hash {top}; NO partitions" in render_text(immutable)
    found = [
        partition.model_copy(update={"uuid": str(UUID(hex=half))})
        for partition, half in zip(report.partitions, (top[:32], top[32:]), strict=True)
    ]
    assert f"root hash {top}\n" in render_text(immutable.model_copy(update={"partitions": found}))


@pytest.mark.parametrize(
    ("line", "found"),
    [("ro roothash=AB12 quiet", "ab12"), ("roothash=ab12", "ab12"), ("xroothash=ab12", None), ("roothash=", None)],
)
def test_a_root_hash_is_read_off_the_command_line(line: str, found: str | None) -> None:
    assert root_hash(line) == found
