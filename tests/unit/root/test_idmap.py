"""Which ids of the host stand behind those of the sandbox."""

from __future__ import annotations

import os

import pytest

from image_composer.errors import SandboxError
from image_composer.root.idmap import COUNT, PREFERRED_BASE, IdMap, choose_ids, read_id_files

WHOLE = "         0          0 4294967295\n"


def files(**changes: str) -> dict[str, str]:
    """Give the files of a machine; names are the last parts of their paths."""
    paths = ("/etc/passwd", "/etc/subuid", "/etc/subgid", "/proc/self/uid_map", "/proc/self/gid_map")
    defaults = {"uid_map": WHOLE, "gid_map": WHOLE, "passwd": "root:x:0:0:root:/root:/bin/bash\n"}
    return {path: {**defaults, **changes}.get(path.rsplit("/", 1)[1], "") for path in paths}


def test_root_maps_a_range_that_nobody_has() -> None:
    ids = choose_ids(0, 0, files())
    assert ids.plan() == {
        "direct": True,
        "uid": [[0, PREFERRED_BASE, COUNT]],
        "gid": [[0, PREFERRED_BASE, COUNT]],
    }


@pytest.mark.parametrize(
    "taken",
    [
        {"subuid": f"me:{PREFERRED_BASE}:65536\n"},
        {"subgid": f"me:{PREFERRED_BASE - 1}:2\n"},
        {"subuid": f"me:{PREFERRED_BASE + COUNT - 1}:1\n"},
        {"passwd": f"odd:x:{PREFERRED_BASE + 7}:0::/:/bin/sh\n"},
        {"subuid": "me:1000:4000000000\n"},
    ],
)
def test_ranges_that_accounts_or_delegations_use_are_avoided(taken: dict[str, str]) -> None:
    ids = choose_ids(0, 0, files(**taken))
    assert ids.uid_base != PREFERRED_BASE
    assert ids.uid_base + COUNT <= 4294967295
    for text in taken.values():
        if text.count(":") == 2:
            first, count = map(int, text.strip().split(":")[1:])
            assert ids.uid_base >= first + count or ids.uid_base + COUNT <= first


def test_ranges_just_beside_are_not_in_the_way() -> None:
    beside = f"me:{PREFERRED_BASE - 10}:10\nyou:{PREFERRED_BASE + COUNT}:5\n"
    assert choose_ids(0, 0, files(subuid=beside)).uid_base == PREFERRED_BASE


def test_in_a_small_user_namespace_the_last_range_is_used() -> None:
    small = "0 100000 200000\n"
    ids = choose_ids(0, 0, files(uid_map=small, gid_map="0 100000 131072\n"))
    assert (ids.uid_base, ids.gid_base) == (200000 - COUNT, 131072 - COUNT)


@pytest.mark.parametrize("id_map", ["0 100000 65536\n", "0 1000 1\n", "", "garbage\n"])
def test_a_user_namespace_without_ids_to_spare_is_explained(id_map: str) -> None:
    with pytest.raises(SandboxError, match="has no 65536 ids to spare") as caught:
        choose_ids(0, 0, files(uid_map=id_map))
    assert caught.value.code == "SANDBOX_NO_IDS"
    assert "more ids" in (caught.value.hint or "")


def test_without_root_the_caller_is_root_inside_and_the_rest_is_delegated() -> None:
    delegated = files(subuid="other:1:65536\nme:100000:65536\n", subgid="me:200000:65536\n")
    ids = choose_ids(1000, 1001, delegated, "me")
    assert ids.plan() == {
        "direct": False,
        "uid": [[0, 1000, 1], [1, 100000, COUNT - 1]],
        "gid": [[0, 1001, 1], [1, 200000, COUNT - 1]],
    }


def test_a_delegation_may_name_the_user_by_number() -> None:
    assert choose_ids(1000, 1000, files(subuid="1000:7:65535\n", subgid="1000:9:65535\n"), "me").uid_base == 7


@pytest.mark.parametrize(
    "broken",
    [
        {"subuid": "me:1:65534\n", "subgid": "me:1:65536\n"},
        {"subuid": "me:1:65536\n"},
        {"subgid": "me:1:65536\n"},
        {"subuid": "me:one:many\nme\n# me:1:65536\n", "subgid": "me:1:65536\n"},
        {},
    ],
)
def test_without_a_delegation_the_command_that_makes_one_is_given(broken: dict[str, str]) -> None:
    with pytest.raises(SandboxError, match="the user me has no range of subordinate ids") as caught:
        choose_ids(1000, 1000, files(**broken), "me")
    assert "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 me" in (caught.value.hint or "")


def test_odd_lines_of_the_files_are_passed_over() -> None:
    odd = files(passwd="+::::::\n-x::::::\n\nroot:x:0:0:root:/root:/bin/bash\n", subuid="me:x:y\n::\n")
    assert choose_ids(0, 0, odd).uid_base == PREFERRED_BASE


def test_this_machine_s_files_are_read() -> None:
    found = read_id_files()
    assert "root:" in found["/etc/passwd"]
    assert found["/proc/self/uid_map"].split()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses freely")
def test_this_machine_has_ids_to_spare() -> None:
    assert isinstance(choose_ids(0, 0, read_id_files()), IdMap)
