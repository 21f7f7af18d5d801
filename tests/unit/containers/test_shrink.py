from __future__ import annotations

import os
from pathlib import Path

import pytest

from containers.shrink import Remainder, files_to_remove, kept_names, owner, real, shrink, status_of
from image_composer.repository.lock import LockedPackage
from image_composer.root.sandbox import Sandbox
from support.sandboxes import sandbox


def package(name: str, *depends: str) -> LockedPackage:
    return LockedPackage(
        name=name, version="1", architecture="amd64", url=f"https://deb.example/{name}.deb", sha256="b" * 64, size=1,
        installed_size=1, repository="main", source=name, source_version="1", depends=list(depends),
    )  # fmt: skip


PACKAGES = (
    package("python3", "libc6", "dpkg"),
    package("certificates", "debconf", "openssl"),
    package("openssl", "libssl3"),
    package("libssl3", "libc6"),
    package("dpkg", "tar"),
    package("debconf", "perl"),
    package("perl"),
    package("tar"),
    package("libc6"),
    package("bash"),
)


@pytest.mark.parametrize(
    ("remainder", "names"),
    [
        (Remainder(("libc6",)), {"libc6"}),
        (Remainder(("python3",)), {"python3", "libc6", "dpkg", "tar"}),
        (Remainder(("python3",), needless=("dpkg",)), {"python3", "libc6"}),
        (Remainder(("python3", "certificates"), needless=("dpkg", "debconf", "openssl")),
         {"python3", "certificates", "libc6"}),
        (Remainder(("certificates",), needless=("debconf",)), {"certificates", "openssl", "libssl3", "libc6"}),
        (Remainder(("dpkg",), needless=("dpkg",)), {"dpkg", "tar"}),
    ],
)  # fmt: skip
def test_what_stays_is_what_was_asked_for_with_what_it_depends_on(remainder: Remainder, names: set[str]) -> None:
    assert kept_names(PACKAGES, remainder) == names


def test_what_several_packages_bring_stays_as_long_as_one_of_them_does() -> None:
    lists = {
        "bash": ["/.", "/bin", "/bin/bash", "/usr", "/usr/share", "/usr/share/bash", "/usr/share/bash/rc"],
        "libc6": ["/.", "/usr", "/usr/bin", "/usr/bin/ldd", "/usr/share"],
    }
    assert files_to_remove(lists, {"libc6"}) == ["/usr/bin/bash", "/usr/share/bash", "/usr/share/bash/rc"]


def test_folders_above_what_stays_stay_though_no_package_lists_them() -> None:
    assert files_to_remove({"a": ["/opt", "/opt/a"], "b": ["/opt/b"]}, {"b"}) == ["/opt/a"]


def test_links_that_are_needed_stay_though_their_package_goes() -> None:
    lists = {"openssl": ["/usr", "/usr/lib", "/usr/lib/ssl", "/usr/lib/ssl/certs", "/usr/lib/ssl/misc"]}
    assert files_to_remove(lists, (), ("/usr/lib/ssl/certs",)) == ["/usr/lib/ssl/misc"]


def test_a_folder_is_the_same_before_and_after_the_merge_of_root_and_usr() -> None:
    lists = {
        "old": ["/lib", "/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu/old.so", "/lib64", "/bin"],
        "new": ["/usr/lib/x86_64-linux-gnu/new.so", "/usr/bin/new"],
    }
    assert files_to_remove(lists, {"new"}) == ["/usr/lib/x86_64-linux-gnu/old.so", "/usr/lib64"]


def test_names_are_names_and_no_patterns() -> None:
    assert files_to_remove({"coreutils": ["/usr/bin/[", "/usr/share/what?"]}, ()) == [
        "/usr/bin/[[]",
        "/usr/share/what[?]",
    ]


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [("/.", "/"), ("/bin", "/usr/bin"), ("/lib/x.so", "/usr/lib/x.so"), ("/lib64", "/usr/lib64"), ("/libx", "/libx"),
     ("/usr/lib/x.so", "/usr/lib/x.so"), ("/srv/bin", "/srv/bin")],
)  # fmt: skip
def test_where_a_path_leads(path: str, leads_to: str) -> None:
    assert real(path) == leads_to


@pytest.mark.parametrize("name", ["libc6.list", "libc6:amd64.list"])
def test_a_list_may_name_the_architecture(name: str) -> None:
    assert owner(f"/var/lib/dpkg/info/{name}") == "libc6"


def test_the_database_forgets_what_went() -> None:
    stanzas = [f"Package: {name}\nStatus: install ok installed\n" for name in ("bash", "libc6", "tar")]
    assert status_of("\n".join(stanzas), {"libc6"}) == "Package: libc6\nStatus: install ok installed\n\n"


def test_a_root_is_shrunk(tmp_path: Path) -> None:
    box = sandbox(tmp_path)
    files = {
        "var/lib/dpkg/status": "Package: libc6\nVersion: 1\n\nPackage: bash\nVersion: 1\n\n",
        "var/lib/dpkg/info/bash.list": "/.\n/bin\n/bin/bash\n/bin/rbash\n/usr\n/usr/share\n/usr/share/bash\n",
        "var/lib/dpkg/info/bash.postinst": "",
        "var/lib/dpkg/info/libc6:amd64.list": "/.\n/usr\n/usr/bin\n/usr/bin/ldd\n/usr/share\n",
        "usr/bin/bash": "",
        "usr/bin/ldd": "",
        "usr/share/bash/made-later": "",
        "etc/init.d/x": "",
    }
    root = box.workspace / "root"
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    (root / "bin").symlink_to("usr/bin")
    (root / "usr/bin/rbash").symlink_to("bash")
    own(box)
    shrink(box, PACKAGES, Remainder(("libc6",), files=("/etc/init.d",)))
    left = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
    assert left == {"usr/bin/ldd", "var/lib/dpkg/info/libc6:amd64.list", "var/lib/dpkg/status"}
    assert (root / "usr/share").is_dir()
    assert not (root / "usr/share/bash").exists()
    assert (root / "var/lib/dpkg/status").read_text() == "Package: libc6\nVersion: 1\n\n"


def own(box: Sandbox) -> None:
    """Give everything in the root to the sandbox's own root user."""
    if box.ids.direct:
        for path in (box.workspace / "root").rglob("*"):
            os.chown(path, box.ids.uid_base, box.ids.gid_base, follow_symlinks=False)
