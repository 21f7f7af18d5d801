"""Reading deb packages that were made to be misread."""

from __future__ import annotations

import io

import pytest

from image_composer.root.inside_record import check_identity, trigger_interests
from image_composer.root.inside_unpack import members, place

HEADER = b"debian-binary   0           0     0     100644  %-10b`\n"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("./usr/bin/tool", "/usr/bin/tool"),
        ("usr//bin/./tool/", "/usr/bin/tool"),
        ("/etc/passwd", "/etc/passwd"),
        ("./", "/"),
        ("./a..b/...", "/a..b/..."),
    ],
)
def test_a_member_s_name_is_a_path_of_the_root(name: str, path: str) -> None:
    assert place(name) == path


@pytest.mark.parametrize("name", ["..", "./../x", "a/../b", "a/..", "a\nb"])
def test_a_name_that_leads_elsewhere_or_breaks_lists_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a name that a file of a package may have"):
        place(name)


def test_members_of_an_archive_are_named_with_their_size() -> None:
    assert list(members(io.BytesIO(b"!<arch>\n" + HEADER % b"4"))) == [("debian-binary", 4)]


@pytest.mark.parametrize("size", [b"-60", b"", b"1e3", b"0x10"])
def test_a_size_that_is_no_number_is_refused(size: bytes) -> None:
    with pytest.raises(ValueError, match="broken header"):
        list(members(io.BytesIO(b"!<arch>\n" + HEADER % size)))


def test_a_package_must_be_the_one_that_the_lock_names() -> None:
    control = "Package: tool\nVersion: 1:2-3\nArchitecture: amd64\n"
    check_identity(control, {"name": "tool", "version": "1:2-3", "architecture": "amd64"})
    for other in ({"name": "tools"}, {"version": "2-3"}, {"architecture": "all"}):
        with pytest.raises(ValueError, match="its file calls itself tool 1:2-3 amd64, not "):
            check_identity(control, {"name": "tool", "version": "1:2-3", "architecture": "amd64", **other})
    with pytest.raises(ValueError, match="calls itself nothing"):
        check_identity("", {"name": "tool", "version": "1", "architecture": "all"})


def test_triggers_are_noted_by_who_wants_to_know_of_them() -> None:
    text = "# comment\ninterest /usr/lib\ninterest-noawait update-menus # why\nactivate ldconfig\n"
    assert trigger_interests(text, "tool") == [("/usr/lib", "tool"), ("update-menus", "tool/noawait")]


@pytest.mark.parametrize("line", ["interest", "interest a b", "interest ../x", "interest a/b", "interest a_b"])
def test_a_trigger_that_is_no_name_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="is not a line of a file of triggers"):
        trigger_interests(line, "tool")
