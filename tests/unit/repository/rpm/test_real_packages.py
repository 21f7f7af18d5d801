"""Packages that rpmbuild made, listed by createrepo_c: what the real tools write is what we read."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from image_composer.digest import bytes_sha256
from image_composer.errors import SolverError
from image_composer.repository.lock import Lock
from image_composer.repository.query import PackageQuery
from support.rpmrepo import Resolver, RpmRepository

SPEC = """
Name: tool
Epoch: 1
Version: 2.0~rc1
Release: 3.azl3
Summary: A tool
License: MIT
Requires: (lib >= 1 with lib-feature)
Requires: /usr/share/lib/table
Requires(pre): shell
Recommends: (docs if lib)
Conflicts: (old-tool and lib < 1)
%description
A tool.
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/share/lib %{buildroot}/etc
echo tool > %{buildroot}/usr/bin/tool
echo table > %{buildroot}/usr/share/lib/table
echo shell > %{buildroot}/usr/bin/shell
%files
/usr/bin/tool
%package -n lib
Summary: Library
Version: 1.5^git7
BuildArch: noarch
Provides: lib-feature = 7
%description -n lib
Library.
%files -n lib
/usr/share/lib/table
%package -n shell
Summary: Shell
%description -n shell
Shell.
%files -n shell
/usr/bin/shell
%package -n docs
Summary: Documents
BuildArch: noarch
%description -n docs
Documents.
%files -n docs
%package -n old-tool
Summary: Older tool
Provides: tooling
%description -n old-tool
Older tool.
%files -n old-tool
%package -n new-tool
Summary: Newer tool
Obsoletes: old-tool < 1:9
Provides: old-tool = 1:9
%description -n new-tool
Newer tool.
%files -n new-tool
"""


@pytest.fixture(scope="module", params=["gz", "xz", "bz2"])
def repository(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `main` is a repository."""
    if missing := [program for program in ("rpmbuild", "createrepo_c") if shutil.which(program) is None]:
        pytest.skip(f"not on PATH: {', '.join(missing)}")
    work = tmp_path_factory.mktemp("rpms")
    (work / "tool.spec").write_text(SPEC)
    defines = {
        "_topdir": str(work / "top"),
        "_rpmdir": str(work / "main"),
        "_dbpath": str(work / "db"),
        "_build_id_links": "none",
        "debug_package": "%{nil}",
        "__os_install_post": "%{nil}",
    }
    words = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    run("rpmbuild", "-bb", "--quiet", "--target", "x86_64-linux", *words, work / "tool.spec")
    run("createrepo_c", "--quiet", f"--general-compress-type={request.param}", work / "main")
    return work


def run(*words: str | Path) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def resolved(folder: Path, query: PackageQuery | str) -> Lock:
    return Resolver(folder)(query, RpmRepository(), write=False)


def test_packages_are_chosen_with_all_that_is_needed_to_fetch_them(repository: Path) -> None:
    lock = resolved(repository, "tool")
    assert [f"{package.name} {package.version} {package.architecture}" for package in lock.packages] == [
        "lib 1:1.5^git7-3.azl3 noarch",
        "shell 1:2.0~rc1-3.azl3 x86_64",
        "tool 1:2.0~rc1-3.azl3 x86_64",
    ]
    tool = lock.packages[-1]
    assert (tool.depends, tool.pre_depends) == (["lib", "shell"], ["shell"])
    assert {(package.source, package.source_version) for package in lock.packages} == {("tool", "2.0~rc1-3.azl3")}
    for package in lock.packages:
        path = next((repository / "main").rglob(f"{package.name}-*.rpm"))
        content = path.read_bytes()
        assert (package.size, package.sha256) == (len(content), bytes_sha256(content))
        assert package.url.startswith((repository / "main").as_uri())
    assert lock.repositories[0].release_digest == bytes_sha256((repository / "main/repodata/repomd.xml").read_bytes())
    assert lock.repositories[0].release_time > 1_700_000_000


def test_what_is_recommended_comes_on_demand(repository: Path) -> None:
    lock = resolved(repository, PackageQuery(("tool",), install_recommends=True))
    assert [package.name for package in lock.packages] == ["docs", "lib", "shell", "tool"]


def test_an_obsolete_package_gives_way(repository: Path) -> None:
    assert [package.name for package in resolved(repository, "old-tool").packages] == ["new-tool"]
    (pinned,) = resolved(repository, "old-tool=1:2.0~rc1-3.azl3").packages
    assert pinned.name == "old-tool"


def test_a_library_that_is_excluded_is_missed_by_its_file_and_its_feature(repository: Path) -> None:
    with pytest.raises(SolverError, match=r"needs \(lib >= 1 with lib-feature\), but lib is excluded") as caught:
        resolved(repository, PackageQuery(("tool",), exclude=("lib",)))
    assert "needs /usr/share/lib/table, but lib is excluded" in caught.value.message
