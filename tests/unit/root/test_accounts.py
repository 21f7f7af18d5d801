"""Accounts, decided on the texts of the account files."""

from __future__ import annotations

import base64
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.errors import AssemblyError
from image_composer.root.accounts import FILES, GROUP, GSHADOW, LOCKED, PASSWD, SHADOW, account_operations, ids_by_name
from image_composer.root.operations import Operation
from image_composer.spec.accounts import Group, User
from support.specs import ED25519_KEY, SHA512_HASH

EPOCH = 1_700_000_000
DAY = "19675"
BASE = {
    PASSWD: "root:x:0:0:root:/root:/bin/bash\ndaemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n",
    GROUP: "root:x:0:\naudio:x:29:\nshadow:x:42:\nusers:x:100:daemon\n",
    SHADOW: "root:*:1:0:99999:7:::\ndaemon:*:1:0:99999:7:::\n",
    GSHADOW: "root:*::\naudio:*::\nshadow:*::\nusers:*::daemon\n",
}


def operations_for(*users: dict[str, Any], files: dict[str, str] | None = None) -> list[Operation]:
    return account_operations([User.model_validate(user) for user in users], files or BASE, EPOCH, 42)


def texts(operations: list[Operation]) -> dict[str, str]:
    """Give what is written, by path."""
    return {
        operation["path"]: base64.b64decode(operation["content"]).decode()
        for operation in operations
        if operation["kind"] == "write"
    }


def rows(text: str) -> dict[str, list[str]]:
    return {line.split(":")[0]: line.split(":")[1:] for line in text.splitlines()}


def written(*users: dict[str, Any], files: dict[str, str] | None = None) -> dict[str, dict[str, list[str]]]:
    """Give the rows of the four files by name."""
    found = texts(operations_for(*users, files=files))
    return {path: rows(found[path]) for path in FILES}


def test_without_users_only_the_dates_of_passwords_are_set() -> None:
    found = texts(operations_for())
    assert found == {**BASE, SHADOW: BASE[SHADOW].replace(":1:0:", f":{DAY}:0:")}


def test_the_account_files_keep_the_owners_and_modes_that_login_expects() -> None:
    kept = {
        operation["path"]: (operation["mode"], operation["uid"], operation["gid"]) for operation in operations_for()
    }
    assert kept == {PASSWD: (0o644, 0, 0), GROUP: (0o644, 0, 0), SHADOW: (0o640, 0, 42), GSHADOW: (0o640, 0, 42)}


def test_a_new_user_gets_an_id_a_group_a_locked_password_and_a_home() -> None:
    found = written({"name": "me"})
    assert found[PASSWD]["me"] == ["x", "1000", "1000", "", "/home/me", "/bin/bash"]
    assert found[GROUP]["me"] == ["x", "1000", ""]
    assert found[SHADOW]["me"] == [LOCKED, DAY, "0", "99999", "7", "", "", ""]
    assert found[GSHADOW]["me"] == ["!", "", ""]
    assert operations_for({"name": "me"})[4:] == [{"kind": "home", "path": "/home/me", "uid": 1000, "gid": 1000}]


def test_what_a_user_asks_for_is_done() -> None:
    me = {"name": "me", "uid": 1500, "shell": "/bin/sh", "home": "/srv/me", "passwordHash": SHA512_HASH}
    found = written(me)
    assert found[PASSWD]["me"] == ["x", "1500", "1500", "", "/srv/me", "/bin/sh"]
    assert found[SHADOW]["me"][0] == SHA512_HASH


def test_ids_that_users_ask_for_are_given_to_nobody_else() -> None:
    found = written({"name": "a"}, {"name": "b", "uid": 1000}, {"name": "c"}, {"name": "d", "uid": 1002})
    assert {name: row[1] for name, row in found[PASSWD].items() if name in "abcd"} == {
        "a": "1001",
        "b": "1000",
        "c": "1003",
        "d": "1002",
    }


def test_an_id_that_a_group_has_is_not_given_to_a_user_by_itself() -> None:
    taken = {**BASE, GROUP: BASE[GROUP] + "staff:x:1000:\n"}
    assert written({"name": "me"}, files=taken)[PASSWD]["me"][1:3] == ["1001", "1001"]
    assert written({"name": "me", "uid": 1000}, files=taken)[PASSWD]["me"][1:3] == ["1000", "1001"]


def test_an_id_that_a_package_has_taken_is_refused() -> None:
    taken = {**BASE, PASSWD: BASE[PASSWD] + "svc:x:1000:100::/:/bin/false\n"}
    with pytest.raises(AssemblyError, match="the user id 1000 of me is taken by another account") as caught:
        operations_for({"name": "me", "uid": 1000}, files=taken)
    assert caught.value.code == "ASSEMBLE_ACCOUNTS"


def test_the_id_of_an_account_that_is_there_can_not_be_changed() -> None:
    with pytest.raises(AssemblyError, match="daemon is an account of the distribution with the user id 1, which can't"):
        operations_for({"name": "daemon", "uid": 1500})


def test_groups_are_joined_whoever_brings_them() -> None:
    found = written(
        {"name": "a", "groups": ["audio", "users", "b", "crew"]}, {"name": "b", "groups": ["crew", "audio"]}
    )
    assert found[GROUP]["audio"] == ["x", "29", "a,b"]
    assert found[GROUP]["users"] == ["x", "100", "daemon,a"]
    assert found[GROUP]["b"] == ["x", "1001", "a"]
    assert found[GROUP]["crew"] == ["x", "999", "a,b"]
    assert found[GSHADOW]["crew"] == ["!", "", "a,b"]
    assert found[GSHADOW]["users"] == ["*", "", "daemon,a"]


def test_a_user_named_as_a_group_that_is_there_has_that_group() -> None:
    assert written({"name": "audio"})[PASSWD]["audio"][1:3] == ["1000", "29"]


def test_new_groups_count_down_and_pass_over_those_taken() -> None:
    taken = {**BASE, GROUP: BASE[GROUP] + "systemd-journal:x:999:\n"}
    found = written({"name": "me", "groups": ["one", "two"]}, files=taken)
    assert [found[GROUP][name][1] for name in ("one", "two")] == ["998", "997"]


def test_root_can_be_given_a_password_and_keys_and_keeps_the_rest() -> None:
    root = {"name": "root", "passwordHash": SHA512_HASH, "sshAuthorizedKeys": [ED25519_KEY + "\n", ED25519_KEY]}
    operations = operations_for(root)
    found = texts(operations)
    assert rows(found[PASSWD])["root"] == ["x", "0", "0", "root", "/root", "/bin/bash"]
    assert rows(found[SHADOW])["root"] == [SHA512_HASH, DAY, "0", "99999", "7", "", "", ""]
    assert found["/root/.ssh/authorized_keys"] == f"{ED25519_KEY}\n{ED25519_KEY}\n"
    assert [(op["kind"], op["path"], op.get("mode"), op["uid"]) for op in operations[4:]] == [
        ("home", "/root", None, 0),
        ("folder", "/root/.ssh", 0o700, 0),
        ("write", "/root/.ssh/authorized_keys", 0o600, 0),
    ]


def test_an_account_that_is_there_keeps_its_password_unless_it_gets_one() -> None:
    assert written({"name": "root", "shell": "/bin/sh"})[SHADOW]["root"][0] == "*"


def test_passwords_are_looked_for_in_shadow_only() -> None:
    found = written({"name": "daemon", "passwordHash": SHA512_HASH})
    assert (found[PASSWD]["daemon"][0], found[SHADOW]["daemon"][0]) == ("x", SHA512_HASH)


@pytest.mark.parametrize(
    ("sudo", "rule"),
    [("none", None), ("password", "me ALL=(ALL:ALL) ALL\n"), ("passwordless", "me ALL=(ALL:ALL) NOPASSWD: ALL\n")],
)
def test_sudo_is_a_rule_of_its_own_that_only_root_reads(sudo: str, rule: str | None) -> None:
    operations = operations_for({"name": "me", "sudo": sudo, "passwordHash": SHA512_HASH})
    assert texts(operations).get("/etc/sudoers.d/50-me") == rule
    assert {op["mode"] for op in operations if "sudoers" in op["path"]} <= {0o440}


USERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["root", "daemon", "me", "you", "audio", "nopass", "open"])},
        optional={
            "passwordHash": st.just(SHA512_HASH),
            "groups": st.lists(st.sampled_from(["audio", "crew", "me", "you"]), max_size=2),
            "sshAuthorizedKeys": st.just([ED25519_KEY]),
        },
    ),
    max_size=5,
    unique_by=lambda user: user["name"],
)


@given(USERS)
def test_nobody_ever_has_an_empty_password(users: list[dict[str, Any]]) -> None:
    careless = {
        **BASE,
        PASSWD: BASE[PASSWD] + "nopass::500:100::/:/bin/sh\nopen:x:501:100::/:/bin/sh\n",
        SHADOW: BASE[SHADOW] + "open::1:0:99999:7:::\n",
    }
    found = written(*users, files=careless)
    assert all(row[0] == "x" or row[0].startswith("*") for row in found[PASSWD].values())
    assert all(row[0] for row in found[SHADOW].values())


@given(USERS)
def test_names_and_ids_stay_unique_and_rows_whole(users: list[dict[str, Any]]) -> None:
    found = texts(operations_for(*users))
    for path, fields in ((PASSWD, 7), (SHADOW, 9), (GROUP, 4), (GSHADOW, 4)):
        lines = [line.split(":") for line in found[path].splitlines()]
        assert {len(line) for line in lines} == {fields}
        assert len({line[0] for line in lines}) == len(lines)
    assert {line.split(":")[0] for line in found[GROUP].splitlines()} == set(rows(found[GSHADOW]))
    assert set(rows(found[PASSWD])) == set(rows(found[SHADOW]))
    for path in (PASSWD, GROUP):
        ids = [line.split(":")[2] for line in found[path].splitlines()]
        assert len(set(ids)) == len(ids)


def with_groups(*groups: dict[str, Any], users: list[dict[str, Any]], files: dict[str, str] | None = None) -> Any:
    models = [Group.model_validate(group) for group in groups]
    operations = account_operations(
        [User.model_validate(user) for user in users], files or BASE, EPOCH, 42, groups=models
    )
    return {path: rows(text) for path, text in texts(operations).items() if path in FILES}


def test_groups_get_their_ids_and_leave_those_of_others_alone() -> None:
    users = [{"name": "me", "groups": ["crew", "ops"]}]
    found = with_groups({"name": "ops"}, {"name": "crew", "gid": 999}, {"name": "team", "gid": 1000}, users=users)
    assert {name: found[GROUP][name][1] for name in ("ops", "crew", "team", "me")} == {
        "ops": "998",
        "crew": "999",
        "team": "1000",
        "me": "1001",
    }
    assert found[GROUP]["crew"] == ["x", "999", "me"]
    assert found[GSHADOW]["crew"] == ["!", "", "me"]


def test_a_group_of_the_distribution_may_be_named_with_its_id() -> None:
    assert with_groups({"name": "audio"}, {"name": "users", "gid": 100}, users=[])[GROUP]["users"][1] == "100"


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ({"name": "users", "gid": 500}, "users is a group of the distribution with the id 100, which can't be 500"),
        ({"name": "mine", "gid": 100}, "the group id 100 of mine is taken by the group users"),
    ],
)
def test_a_group_s_id_that_can_not_be_is_told(group: dict[str, Any], said: str) -> None:
    with pytest.raises(AssemblyError, match=said):
        with_groups(group, users=[])


def test_an_account_expires_on_its_day_and_has_a_full_name() -> None:
    found = written({"name": "me", "expires": "2030-01-01", "fullName": "Mé 'n you"})
    assert found[SHADOW]["me"][6] == str((date(2030, 1, 1) - date(1970, 1, 1)).days)
    assert found[PASSWD]["me"][3] == "Mé 'n you"


def test_what_is_no_line_break_for_passwd_is_none_here() -> None:
    """Names may hold what Python takes for the end of a line."""
    passwd = texts(operations_for({"name": "me", "fullName": "a\x85b\u2029c"}))[PASSWD]
    users, _ = ids_by_name({**BASE, PASSWD: passwd})
    assert users == {"root": 0, "daemon": 1, "me": 1000}


@pytest.mark.parametrize(
    ("commands", "rule"),
    [
        (["/usr/bin/journalctl"], "/usr/bin/journalctl"),
        (
            ["/usr/bin/systemctl restart a.service", "/usr/bin/env A=b:c"],
            r"/usr/bin/systemctl restart a.service, /usr/bin/env A\=b\:c",
        ),
    ],
)
def test_sudo_may_be_for_some_commands_only(commands: list[str], rule: str) -> None:
    operations = operations_for({"name": "me", "sudo": "passwordless", "sudoCommands": commands})
    text = texts(operations)["/etc/sudoers.d/50-me"]
    assert text == f"me ALL=(ALL:ALL) NOPASSWD: {rule}\n"


@pytest.mark.parametrize(
    "command",
    ["reboot", "/usr/bin/", "/", "/usr/bin/../x", "/bin/sh -c 'id'", "/bin/*", "/bin/a, ALL", "/bin/a\nALL", "!/bin/a"],
)
def test_a_command_for_sudo_is_one_program_by_its_path(command: str) -> None:
    """A folder would stand for all that is in it, and most signs mean something to sudo."""
    with pytest.raises(ValueError, match="sudoCommands"):
        User.model_validate({"name": "me", "sudo": "passwordless", "sudoCommands": [command]})
