"""Our own actions inside the root, each carried out there."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from image_composer.errors import AssemblyError
from image_composer.root import operations
from image_composer.root.assemble import take_file
from image_composer.root.operations import Operation
from image_composer.root.sandbox import BARE_EXCHANGE, EXCHANGE, Sandbox
from support.sandboxes import install_programs, sandbox

EPOCH = 1_700_000_000


@pytest.fixture
def box(tmp_path: Path) -> Sandbox:
    return sandbox(tmp_path)


@pytest.fixture
def root(box: Sandbox) -> Path:
    return box.workspace / "root"


def apply(box: Sandbox, *wanted: Operation) -> None:
    box.act("apply", operations=list(wanted))


def owner(box: Sandbox, path: Path) -> tuple[int, int]:
    """Give the owner as it is inside; only root sees through the map so easily."""
    if not box.ids.direct:
        pytest.skip("needs root to compare owners")
    status = path.lstat()
    return status.st_uid - box.ids.uid_base, status.st_gid - box.ids.gid_base


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def own(box: Sandbox, top: Path) -> None:
    """Give everything of a tree to the root of the sandbox."""
    if box.ids.direct:
        for path in (top, *top.rglob("*")):
            os.chown(path, box.ids.uid_base, box.ids.gid_base, follow_symlinks=False)


def test_a_file_is_written_with_its_owner_and_mode_and_missing_parents(box: Sandbox, root: Path) -> None:
    apply(box, operations.write("/etc/deep/file", b"\0\xff", mode=0o4750, uid=7, gid=8))
    assert (root / "etc/deep/file").read_bytes() == b"\0\xff"
    assert mode(root / "etc/deep/file") == 0o4750
    assert mode(root / "etc/deep") == 0o755
    assert owner(box, root / "etc/deep/file") == (7, 8)


@pytest.mark.parametrize("target", ["/etc/precious", "precious", "/nowhere", "/"])
def test_writing_replaces_a_link_and_never_follows_it(box: Sandbox, root: Path, target: str) -> None:
    (root / "etc").mkdir()
    (root / "etc/precious").write_text("precious")
    (root / "etc/file").symlink_to(target)
    own(box, root)
    apply(box, operations.write("/etc/file", "new"))
    assert not (root / "etc/file").is_symlink()
    assert (root / "etc/file").read_text() == "new"
    assert (root / "etc/precious").read_text() == "precious"


def test_writing_replaces_a_file_that_has_another_name_too(box: Sandbox, root: Path) -> None:
    (root / "one").write_text("precious")
    (root / "two").hardlink_to(root / "one")
    apply(box, operations.write("/two", "new"))
    assert (root / "one").read_text() == "precious"


def test_links_out_of_the_root_lead_into_the_root(box: Sandbox, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o777)
    (root / "etc").symlink_to(outside)
    with pytest.raises(AssemblyError):
        apply(box, operations.write("/etc/file", "new"))
    (root / "up").symlink_to("../../../outside")
    with pytest.raises(AssemblyError):
        apply(box, operations.write("/up/file", "new"))
    assert list(outside.iterdir()) == []


WAYS = {
    "/etc/gate": "/srv",
    "/etc/up": "../srv",
    "/etc/far/away": "/",
}


@pytest.mark.parametrize("make", [operations.write, operations.folder, operations.link], ids=lambda make: make.__name__)
@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_made_by_way_of_a_link(box: Sandbox, root: Path, way: str, make: Callable[..., Operation]) -> None:
    """It would come to lie where nobody looks for it, or replace what another file is for."""
    apply(box, operations.folder("/srv"), operations.link(way, WAYS[way]))
    before = sorted(root.rglob("*"))
    further = {"content": ""} if make is operations.write else {"target": "x"} if make is operations.link else {}
    with pytest.raises(AssemblyError, match=f"{way}/new would come to lie in /"):
        apply(box, make(f"{way}/new", **further))
    assert sorted(root.rglob("*")) == before


def test_the_links_of_a_merged_usr_are_what_they_seem(box: Sandbox, root: Path) -> None:
    apply(box, operations.folder("/usr/lib"), operations.link("/lib", "usr/lib"), operations.write("/lib/udev/x", "x"))
    assert (root / "usr/lib/udev/x").read_text() == "x"
    apply(box, operations.link("/lib", "/srv"))
    with pytest.raises(AssemblyError, match="/lib/y would come to lie in /srv"):
        apply(box, operations.write("/lib/y", ""))


def test_a_link_is_no_folder_to_give_a_mode_to(box: Sandbox, root: Path) -> None:
    apply(box, operations.folder("/srv", mode=0o700), operations.link("/etc/gate", "/srv"))
    with pytest.raises(AssemblyError, match="/etc/gate is to be a folder, but is something else"):
        apply(box, operations.folder("/etc/gate", mode=0o777))
    assert mode(root / "srv") == 0o700


@pytest.mark.parametrize("wanted", [operations.write("/srv", ""), operations.link("/srv", "/etc")])
def test_a_folder_is_not_replaced(box: Sandbox, root: Path, wanted: Operation) -> None:
    apply(box, operations.folder("/srv/kept"))
    with pytest.raises(AssemblyError, match="/srv is a folder, and not replaced by anything else"):
        apply(box, wanted)
    assert (root / "srv/kept").is_dir()


@pytest.mark.parametrize("wanted", [operations.write("/srv/x", "new"), operations.link("/srv/x", "/etc")])
def test_what_is_neither_file_nor_folder_is_replaced(box: Sandbox, root: Path, wanted: Operation) -> None:
    """Opened as it is, a named pipe would let everybody wait."""
    (root / "srv").mkdir()
    os.mkfifo(root / "srv/x")
    own(box, root)
    apply(box, wanted)
    assert (root / "srv/x").is_symlink() == (wanted["kind"] == "link")
    assert not stat.S_ISFIFO((root / "srv/x").lstat().st_mode)


def test_a_failing_action_is_explained(box: Sandbox, root: Path) -> None:
    (root / "etc").write_text("a file")
    with pytest.raises(AssemblyError, match=r"apply in the root: .*'/etc'") as caught:
        apply(box, operations.write("/etc/file", ""))
    assert caught.value.code == "ASSEMBLE_ACTION_FAILED"


def test_a_folder_is_made_or_given_owner_and_mode(box: Sandbox, root: Path) -> None:
    apply(box, operations.folder("/srv/a/b", mode=0o1777), operations.folder("/srv", mode=0o700, uid=5, gid=6))
    assert (mode(root / "srv/a/b"), mode(root / "srv/a"), mode(root / "srv")) == (0o1777, 0o755, 0o700)
    assert owner(box, root / "srv") == (5, 6)


def test_a_folder_of_a_tree_is_made_or_left_as_it_is(box: Sandbox, root: Path) -> None:
    (root / "srv").mkdir(mode=0o700)
    (root / "usr/lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "opt").symlink_to("srv")
    own(box, root)
    folders = ("/srv", "/lib", "/lib/gate", "/srv/new")
    apply(box, *(operations.folder_if_missing(path, mode=0o750, uid=7, gid=8) for path in folders))
    assert (mode(root / "srv"), mode(root / "srv/new"), mode(root / "usr/lib/gate")) == (0o700, 0o750, 0o750)
    assert (owner(box, root / "srv"), owner(box, root / "srv/new")) == ((0, 0), (7, 8))
    with pytest.raises(AssemblyError, match="/opt is to be a folder, but is something else"):
        apply(box, operations.folder_if_missing("/opt", mode=0o750, uid=0, gid=0))


def test_a_mount_point_is_made_or_left_as_it_is(box: Sandbox, root: Path) -> None:
    """/var/tmp must stay open to all, and /root closed."""
    apply(box, operations.folder("/var/tmp", mode=0o1777, gid=8))
    apply(box, operations.mount_point("/var/tmp"), operations.mount_point("/boot/efi"))
    assert (mode(root / "var/tmp"), owner(box, root / "var/tmp")) == (0o1777, (0, 8))
    assert (mode(root / "boot/efi"), owner(box, root / "boot/efi")) == (0o755, (0, 0))


def test_a_link_replaces_a_file_or_a_link(box: Sandbox, root: Path) -> None:
    apply(box, operations.write("/file", "x"), operations.link("/file", "a"), operations.link("/file", "../b"))
    assert str((root / "file").readlink()) == "../b"


def test_a_link_that_leads_nowhere_is_removed_by_its_name(box: Sandbox, root: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/gone").symlink_to("/nowhere")
    own(box, root)
    apply(box, operations.remove("/etc/gone"), operations.remove("/etc/never"), operations.remove("/none/such"))
    assert list((root / "etc").iterdir()) == []


def test_patterns_remove_what_they_match_and_nothing_behind_links(box: Sandbox, root: Path) -> None:
    for name in ("tmp/a/b/c", "tmp/.hidden/x", "var/log/one.log", "var/log/two.txt", "precious/file"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    (root / "tmp/link").symlink_to("/precious")
    (root / "tmp/dangling").symlink_to("/nowhere")
    os.mkfifo(root / "tmp/fifo")
    own(box, root)
    apply(box, operations.remove("/tmp/*"), operations.remove("/var/log/*.log"), operations.remove("/none/*"))
    left = sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())
    assert left == ["precious/file", "var/log/two.txt"]
    assert (root / "tmp").is_dir()
    apply(box, operations.remove("/*"))
    assert list(root.iterdir()) == []


def test_emptying_a_file_leaves_its_owner_and_mode(box: Sandbox, root: Path) -> None:
    apply(box, operations.write("/log", "text", mode=0o660, gid=4), operations.link("/link", "log"))
    apply(box, operations.truncate("/log"), operations.truncate("/missing"))
    assert ((root / "log").read_text(), mode(root / "log"), owner(box, root / "log")) == ("", 0o660, (0, 4))
    apply(box, operations.write("/log", "text"), operations.truncate("/link"))
    assert (root / "log").read_text() == "text"


def test_a_new_home_is_a_private_copy_of_the_skeleton(box: Sandbox, root: Path) -> None:
    apply(
        box,
        operations.write("/etc/skel/.profile", "export", mode=0o640),
        operations.link("/etc/skel/link", ".profile"),
        operations.folder("/etc/skel/.config"),
        operations.new_home("/home/me", uid=1000, gid=1001),
    )
    home = root / "home/me"
    assert (mode(home), mode(home / ".profile"), mode(root / "home")) == (0o700, 0o640, 0o755)
    assert {owner(box, path) for path in (home, *home.iterdir())} == {(1000, 1001)}
    assert str((home / "link").readlink()) == ".profile"


@pytest.mark.parametrize("home", ["/", "/srv", "/link"])
def test_a_home_that_is_there_is_left_alone(box: Sandbox, root: Path, home: str) -> None:
    apply(box, operations.write("/srv/file", ""), operations.link("/link", "srv"))
    before = mode(root / "srv")
    apply(box, operations.new_home(home, uid=1000, gid=1000))
    assert {owner(box, path) for path in (root, *root.rglob("*"))} == {(0, 0)}
    assert mode(root / "srv") == before


def test_files_are_read_and_absent_ones_told(box: Sandbox, root: Path) -> None:
    (root / "a").write_bytes(b"\0\xff")
    answer = box.act("read", paths=["/a", "/missing"])
    assert answer == {"contents": {"/a": base64.b64encode(b"\0\xff").decode(), "/missing": None}}


def test_patterns_match_in_order(box: Sandbox, root: Path) -> None:
    (root / "boot").mkdir()
    for name in ("vmlinuz-2", "vmlinuz-1", "other"):
        (root / "boot" / name).write_text("")
    found = box.act("match", patterns=["/boot/vmlinuz-*", "/none*"])
    assert found == {"paths": {"/boot/vmlinuz-*": ["/boot/vmlinuz-1", "/boot/vmlinuz-2"], "/none*": []}}


def test_collected_files_are_the_root_s_wherever_links_lead(box: Sandbox, root: Path) -> None:
    (root / "kernel").write_text("kernel")
    (root / "link").symlink_to("/kernel")
    (root / "outside").symlink_to("/etc/hostname")
    box.act("collect", exchange=True, files={"/link": f"{BARE_EXCHANGE}/kernel"})
    assert (box.workspace / "exchange/kernel").read_text() == "kernel"
    with pytest.raises(AssemblyError, match="/outside"):
        box.act("collect", exchange=True, files={"/outside": f"{BARE_EXCHANGE}/stub"})


def test_what_is_below_a_mount_point_moves_with_all_that_is_known_of_it(box: Sandbox) -> None:
    install_programs(box)
    root = box.workspace / "root"
    apply(
        box,
        operations.folder("/home", mode=0o751, gid=50),
        operations.folder("/home/me", mode=0o700, uid=1000, gid=1000),
        operations.write("/home/me/file", "mine", mode=0o600, uid=1000, gid=1000),
        operations.link("/home/me/link", "/etc/shadow"),
        operations.folder("/var/tmp", mode=0o1777),
        operations.folder("/var/log", mode=0o2750, gid=4),
        operations.write("/var/log/messages", "log", gid=4),
        operations.write("/var/keep", "var"),
    )
    (root / "home/me/same").hardlink_to(root / "home/me/file")
    with (root / "home/me/holes").open("wb") as stream:
        stream.truncate(1 << 20)
    os.utime(root / "home/me/file", (EPOCH, EPOCH))
    places = {"/var/log": "log", "/var": "var", "/home": "home", "/data": "data"}
    mounts = {point: f"{EXCHANGE}/{name}" for point, name in places.items()}
    box.act("split", system=True, exchange=True, mounts=mounts)
    moved = box.workspace / "exchange"
    assert [list((root / name).iterdir()) for name in ("home", "var", "data")] == [[], [], []]
    assert (mode(moved / "home"), owner(box, moved / "home")) == (0o751, (0, 50))
    assert {owner(box, moved / "home/me" / name) for name in ("", "file", "same")} == {(1000, 1000)}
    assert (moved / "home/me/file").samefile(moved / "home/me/same")
    assert (moved / "home/me/file").stat().st_mtime == EPOCH
    assert str((moved / "home/me/link").readlink()) == "/etc/shadow"
    assert (moved / "home/me/holes").stat().st_blocks < 100
    assert (mode(moved / "var/tmp"), mode(moved / "log"), owner(box, moved / "log")) == (0o1777, 0o2750, (0, 4))
    assert (list((moved / "var/log").iterdir()), (moved / "var/keep").read_text()) == ([], "var")
    assert (moved / "log/messages").read_text() == "log"
    assert list((moved / "data").iterdir()) == []


def test_a_mount_point_that_is_a_link_is_refused(box: Sandbox, root: Path) -> None:
    (root / "srv").symlink_to("/etc")
    with pytest.raises(AssemblyError, match="/srv/a is a link or below one"):
        box.act("split", system=True, exchange=True, mounts={"/srv/a": f"{EXCHANGE}/srv"})


def test_sealing_sets_later_times_and_tells_what_a_tree_takes(box: Sandbox, root: Path) -> None:
    apply(box, operations.write("/etc/new", ""), operations.write("/etc/old", ""), operations.link("/link", "etc"))
    os.utime(root / "etc/old", (EPOCH - 500.5, EPOCH - 500.5))
    tree = box.act("seal", trees=["/"], epoch=EPOCH)["trees"]["/"]
    times = {path.name: path.lstat().st_mtime for path in (root, *root.rglob("*"))}
    assert times == {"root": EPOCH, "etc": EPOCH, "new": EPOCH, "old": EPOCH - 500.5, "link": EPOCH}
    assert [(root / "etc" / name).stat().st_atime for name in ("new", "old")] == [EPOCH, EPOCH - 500.5]
    assert tree["inodes"] >= 5
    assert (tree["blocks"] > 0, tree["uid"], tree["gid"], tree["mode"]) == (True, 0, 0, mode(root))


def files_that_are_none(folder: Path) -> dict[str, Path]:
    (folder / "precious").write_text("precious")
    (folder / "link").symlink_to("precious")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    return {name: folder / name for name in ("link", "folder", "fifo", "missing")}


@pytest.mark.parametrize("kind", ["link", "folder", "fifo", "missing"])
def test_only_regular_files_are_taken_from_the_sandbox(tmp_path: Path, kind: str) -> None:
    place = files_that_are_none(tmp_path)[kind]
    with pytest.raises(AssemblyError) as caught:
        take_file(place, tmp_path / "taken")
    assert caught.value.code == "ASSEMBLE_NOT_A_FILE"
    assert not (tmp_path / "taken").exists()


def test_a_regular_file_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(b"kernel")
    take_file(tmp_path / "kernel", tmp_path / "taken")
    assert (tmp_path / "taken").read_bytes() == b"kernel"


def test_first_scripts_run_in_turn_where_dpkg_runs_them_until_one_fails(box: Sandbox) -> None:
    install_programs(box)
    told = "echo $WHO > /first; cd ${0%/*}; pwd; cat control config; echo said"
    texts = {"a.preinst": told, "a.config": "asks", "a.b.config": "another", "b.preinst": "echo why >&2; exit 3"}
    texts["c.preinst"] = "touch /third"
    for name, text in texts.items():
        apply(box, operations.write(f"/var/lib/dpkg/info/{name}", f"#!/bin/sh\n{text}\n", mode=0o755))
    scripts = [{"record": name, "control": f"Package: {name}\n", "env": {"WHO": "me"}} for name in "abc"]
    with pytest.raises(AssemblyError, match="preinst of b failed with status 3") as caught:
        box.act("scripts", system=True, scripts=scripts)
    assert caught.value.message.splitlines()[1:] == [
        "/var/lib/dpkg/tmp.ci", "Package: a", "#!/bin/sh", "asks", "said", "why"
    ]  # fmt: skip
    root = box.workspace / "root"
    assert ((root / "first").read_text(), (root / "third").exists()) == ("me\n", False)


def test_what_is_to_stay_of_a_folder_stays_with_the_folders_above_it(box: Sandbox, root: Path) -> None:
    for name in ("a/copyright", "a/README", "b/deep/LICENSE.txt", "b/deep/other", "c/README"):
        apply(box, operations.write(f"/usr/share/doc/{name}", "x"))
    apply(box, operations.remove_except("/usr/share/doc", ["copyright", "LICENSE*"]))
    top = root / "usr/share/doc"
    left = sorted(str(path.relative_to(top)) for path in top.rglob("*"))
    assert left == ["a", "a/copyright", "b", "b/deep", "b/deep/LICENSE.txt"]


def test_an_entry_that_is_to_stay_stays_with_all_it_holds(box: Sandbox, root: Path) -> None:
    for name in ("de/LC_MESSAGES/x.mo", "fr/LC_MESSAGES/x.mo", "locale.alias"):
        apply(box, operations.write(f"/usr/share/locale/{name}", "x"))
    apply(box, operations.remove_except("/usr/share/locale", ["de", "locale.alias"]))
    assert sorted(path.name for path in (root / "usr/share/locale").iterdir()) == ["de", "locale.alias"]
    assert (root / "usr/share/locale/de/LC_MESSAGES/x.mo").exists()


def test_nothing_behind_a_link_is_taken_away(box: Sandbox, root: Path) -> None:
    apply(box, operations.write("/etc/kept", "x"), operations.link("/usr/share/doc", "/etc"))
    apply(box, operations.remove_except("/usr/share/doc", ["copyright"]))
    assert (root / "etc/kept").exists()
    apply(box, operations.remove("/usr/share/doc"), operations.link("/usr/share/doc/a", "/etc"))
    apply(box, operations.remove_except("/usr/share/doc", ["copyright"]))
    assert (root / "etc/kept").exists()


def test_a_large_file_comes_by_way_of_the_exchange_folder(box: Sandbox, root: Path) -> None:
    box.prepare("exchange")
    place = box.workspace / "exchange/artifact"
    place.write_bytes(bytes(3 << 20))
    place.chmod(0o644)
    wanted = operations.copy("/srv/images/a.tar", f"{BARE_EXCHANGE}/artifact", mode=0o640, uid=3, gid=4)
    box.act("apply", exchange=True, operations=[wanted])
    assert (root / "srv/images/a.tar").read_bytes() == bytes(3 << 20)
    assert (mode(root / "srv/images/a.tar"), owner(box, root / "srv/images/a.tar")) == (0o640, (3, 4))
