from __future__ import annotations

from pathlib import Path

from image_composer.evidence.facts import PackageFacts
from image_composer.evidence.facts_rpm import read_rpm_facts
from support.rawrpms import RawRpm, minimal
from support.rpmbuild import Rpm, make_rpm


def test_a_package_speaks_by_its_header(tmp_path: Path) -> None:
    tags = {"Vendor": "Acme", "Packager": "Ann <ann@acme.example>", "URL": "https://acme.example/"}
    files = {"tool": make_rpm(Rpm("tool", license="GPLv3+", tags=tags), tmp_path)}
    facts = read_rpm_facts(files)["tool"]
    assert (facts.maintainer, facts.vendor) == ("Ann <ann@acme.example>", "Acme")
    assert (facts.homepage, facts.summary) == ("https://acme.example/", "tool for tests")
    assert facts.license.expression == "GPL-3.0-or-later"


def test_a_package_that_says_nothing_has_no_facts(tmp_path: Path) -> None:
    assert read_rpm_facts({"raw": RawRpm(minimal()).write(tmp_path)}) == {"raw": PackageFacts()}
