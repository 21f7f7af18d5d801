from __future__ import annotations

import os
from pathlib import Path

import pytest

from image_composer.evidence.facts import PackageFacts, read_facts

FORMAT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "usr/share/doc/gcc-12-base").mkdir(parents=True)
    (root / "usr/share/doc/gcc-12-base/copyright").write_text(FORMAT + "Files: *\nLicense: GPL-3+\n")
    (root / "var/lib/dpkg").mkdir(parents=True)
    return root


def installed(root: Path, *names: str) -> dict[str, PackageFacts]:
    text = "\n".join(f"Package: {name}\nMaintainer: M <m@example.org>\nDescription: d\n more\n" for name in names)
    (root / "var/lib/dpkg/status").write_text(text)
    return read_facts(root)


def test_a_package_speaks_by_its_control_fields_and_its_copyright_file(root: Path) -> None:
    facts = installed(root, "gcc-12-base")["gcc-12-base"]
    assert (facts.maintainer, facts.summary, facts.homepage) == ("M <m@example.org>", "d", None)
    assert facts.license.expression == "GPL-3.0-or-later"


def test_a_documentation_folder_may_be_another_packages(root: Path) -> None:
    (root / "usr/share/doc/libstdc++6").symlink_to("gcc-12-base")
    assert installed(root, "libstdc++6")["libstdc++6"].license.expression == "GPL-3.0-or-later"


@pytest.mark.parametrize("target", ["/{outside}", "../../../../outside", "..", "."])
def test_no_link_leads_out_of_the_root(root: Path, tmp_path: Path, target: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "copyright").write_text(FORMAT + "Files: *\nLicense: secret\n")
    (root / "usr/share/doc/evil").symlink_to(target.format(outside=outside))
    (root / "usr/share/doc/sly").mkdir()
    (root / "usr/share/doc/sly/copyright").symlink_to(outside / "copyright")
    facts = installed(root, "evil", "sly")
    assert {name: fact.license.expression for name, fact in facts.items()} == {
        "evil": "NOASSERTION",
        "sly": "NOASSERTION",
    }


def test_a_name_that_is_a_path_is_no_package(root: Path) -> None:
    assert installed(root, "../../../outside", "/etc", "..", "") == {}


def test_a_pipe_in_the_place_of_the_file_does_not_hold_the_build_up(root: Path) -> None:
    (root / "usr/share/doc/piped").mkdir()
    os.mkfifo(root / "usr/share/doc/piped/copyright")
    assert installed(root, "piped")["piped"].license.expression == "NOASSERTION"


def test_a_root_without_dpkg_has_no_facts(tmp_path: Path) -> None:
    assert read_facts(tmp_path) == {}
