"""User accounts, decided on the texts of the account files: no program of the image is run for them.

Formats: passwd(5), shadow(5), group(5), gshadow(5), sudoers(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date

from image_composer.errors import AssemblyError
from image_composer.root import operations
from image_composer.root.operations import Operation
from image_composer.spec.accounts import Group, Sudo, User

PASSWD, SHADOW, GROUP, GSHADOW = "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"
FILES = (PASSWD, SHADOW, GROUP, GSHADOW)
FIELDS = {PASSWD: 7, SHADOW: 9, GROUP: 4, GSHADOW: 4}
IDS = {PASSWD: (2, 3), GROUP: (2,)}
"""Which of the fields are ids."""

USER_IDS = range(1000, 60000)
"""Ids for people, by Debian's policy and most others'."""

SYSTEM_GROUP_IDS = range(999, 100, -1)
"""Ids for groups that no package brings, taken from above as groupadd does for the system's own."""

LOCKED = "!*"
"""No password fits it, and unlocking it by mistake leaves one that none fits either."""

SECONDS_A_DAY = 86400
EPOCH_DAY = date(1970, 1, 1)


@dataclass(slots=True)
class _Accounts:
    """The four files as rows of fields, in their order."""

    passwd: list[list[str]]
    shadow: list[list[str]]
    group: list[list[str]]
    gshadow: list[list[str]]


def account_operations(
    users: Sequence[User],
    files: Mapping[str, str],
    epoch: int,
    shadow_gid: int,
    *,
    groups: Sequence[Group] = (),
) -> list[Operation]:
    """Say what to write so that the users exist; also for none, since all change dates are set to the epoch.

    Args:
        users: of the spec.
        files: text by path of `FILES` as the packages left them.
        epoch: time of the image in seconds since 1970.
        shadow_gid: group that may read the shadow files.
        groups: of the spec.

    Raises:
        AssemblyError: ASSEMBLE_ACCOUNTS, an id is taken, or was to be changed, or a file can't be read.
    """
    accounts = _Accounts(*(_rows(path, files[path]) for path in FILES))
    reserved = frozenset(user.uid for user in users if user.uid is not None)
    homes: list[Operation] = []
    for wanted in groups:
        _declare_group(accounts, wanted, groups)
    for user in users:
        homes += _add_user(accounts, user, reserved)
    for user in users:  # now that groups of their own are there
        for name in user.groups:
            _join(accounts, name, user.name)
    day = str(epoch // SECONDS_A_DAY)
    for row in accounts.shadow:
        row[1] = row[1] or LOCKED
        row[2] = day
    for row in accounts.passwd:
        row[1] = row[1] or "x"
    return [
        operations.write(PASSWD, _text(accounts.passwd)),
        operations.write(GROUP, _text(accounts.group)),
        operations.write(SHADOW, _text(accounts.shadow), mode=0o640, gid=shadow_gid),
        operations.write(GSHADOW, _text(accounts.gshadow), mode=0o640, gid=shadow_gid),
        *homes,
    ]


def _add_user(accounts: _Accounts, user: User, reserved: frozenset[int]) -> list[Operation]:
    row = next((row for row in accounts.passwd if row[0] == user.name), None)
    is_new = row is None
    if row is None:
        row = _new_row(accounts, user, reserved)
    elif user.uid is not None and row[2] != str(user.uid):
        message = f"{user.name} is an account of the distribution with the user id {row[2]}, which can't be {user.uid}"
        raise AssemblyError("ASSEMBLE_ACCOUNTS", message)
    row[1] = "x"  # the password is in shadow, and counts only if it is looked for there
    if user.shell is not None:
        row[6] = user.shell
    if user.home is not None:
        row[5] = user.home
    if user.full_name is not None:
        row[4] = user.full_name
    password = user.password_hash or LOCKED
    shadow = next((entry for entry in accounts.shadow if entry[0] == user.name), None)
    if shadow is None:
        accounts.shadow.append([user.name, password, "0", "0", "99999", "7", "", "", ""])
    elif is_new or user.password_hash is not None:
        shadow[1] = password
    if user.expires is not None:
        row_of_shadow = next(entry for entry in accounts.shadow if entry[0] == user.name)
        row_of_shadow[7] = str((date.fromisoformat(user.expires) - EPOCH_DAY).days)
    return _home_operations(user, row, is_new=is_new)


def _new_row(accounts: _Accounts, user: User, reserved: frozenset[int]) -> list[str]:
    taken = {int(row[2]) for row in accounts.passwd}
    groups_taken = {int(row[2]) for row in accounts.group}
    wanted = user.uid
    if wanted is None:
        wanted = _free(taken | groups_taken | reserved, USER_IDS)
    elif wanted in taken:
        raise AssemblyError("ASSEMBLE_ACCOUNTS", f"the user id {wanted} of {user.name} is taken by another account")
    group = next((row for row in accounts.group if row[0] == user.name), None)
    if group is None:
        gid = wanted if wanted not in groups_taken else _free(groups_taken | reserved, USER_IDS)
        _add_group(accounts, user.name, gid)
    else:
        gid = int(group[2])
    home = user.home or f"/home/{user.name}"
    row = [user.name, "x", str(wanted), str(gid), "", home, user.shell or "/bin/bash"]
    accounts.passwd.append(row)
    return row


def _join(accounts: _Accounts, group_name: str, user_name: str) -> None:
    if not any(row[0] == group_name for row in accounts.group):
        taken = {int(row[2]) for row in accounts.group}
        _add_group(accounts, group_name, _free(taken, SYSTEM_GROUP_IDS))
    for rows in (accounts.group, accounts.gshadow):
        for row in rows:
            members = [name for name in row[3].split(",") if name]
            if row[0] == group_name and user_name not in members:
                row[3] = ",".join([*members, user_name])


def _free(taken: Set[int], candidates: range) -> int:
    number = next((number for number in candidates if number not in taken), None)
    if number is None:
        raise AssemblyError("ASSEMBLE_ACCOUNTS", f"all ids from {candidates[0]} to {candidates[-1]} are taken")
    return number


def _add_group(accounts: _Accounts, name: str, gid: int) -> None:
    accounts.group.append([name, "x", str(gid), ""])
    accounts.gshadow.append([name, "!", "", ""])


def _home_operations(user: User, row: Sequence[str], *, is_new: bool) -> list[Operation]:
    uid, gid, home = int(row[2]), int(row[3]), row[5]
    found: list[Operation] = []
    if is_new or user.ssh_authorized_keys:
        found.append(operations.new_home(home, uid=uid, gid=gid))
    if user.ssh_authorized_keys:
        keys = "".join(f"{key.strip()}\n" for key in user.ssh_authorized_keys)
        found += [
            operations.folder(f"{home}/.ssh", mode=0o700, uid=uid, gid=gid),
            operations.write(f"{home}/.ssh/authorized_keys", keys, mode=0o600, uid=uid, gid=gid),
        ]
    if user.sudo is not Sudo.NONE:
        found.append(operations.write(f"/etc/sudoers.d/50-{user.name}", _sudo_rule(user), mode=0o440))
    return found


def _sudo_rule(user: User) -> str:
    """Give a user's line; what sudoers(5) gives a meaning to in a command is taken literally."""
    commands = [re.sub(r"([,:=\\])", r"\\\1", command) for command in user.sudo_commands] or ["ALL"]
    password = "NOPASSWD: " if user.sudo is Sudo.PASSWORDLESS else ""
    return f"{user.name} ALL=(ALL:ALL) {password}{', '.join(commands)}\n"


def _declare_group(accounts: _Accounts, wanted: Group, all_wanted: Sequence[Group]) -> None:
    """Add a group, or see that one that is there has the id that was asked for.

    Raises:
        AssemblyError: ASSEMBLE_ACCOUNTS.
    """
    taken = {int(row[2]): row[0] for row in accounts.group}
    there = next((row for row in accounts.group if row[0] == wanted.name), None)
    if there is not None:
        if wanted.gid is not None and there[2] != str(wanted.gid):
            message = (
                f"{wanted.name} is a group of the distribution with the id {there[2]}, which can't be {wanted.gid}"
            )
            raise AssemblyError("ASSEMBLE_ACCOUNTS", message)
        return
    if wanted.gid in taken:
        message = f"the group id {wanted.gid} of {wanted.name} is taken by the group {taken[wanted.gid]}"
        raise AssemblyError("ASSEMBLE_ACCOUNTS", message)
    reserved = {group.gid for group in all_wanted if group.gid is not None}
    gid = _free(taken.keys() | reserved, SYSTEM_GROUP_IDS) if wanted.gid is None else wanted.gid
    _add_group(accounts, wanted.name, gid)


def ids_by_name(files: Mapping[str, str]) -> tuple[dict[str, int], dict[str, int]]:
    """Give user ids and group ids by name.

    Args:
        files: text by path of `FILES`.
    """
    users, groups = ({row[0]: int(row[2]) for row in _rows(path, files[path])} for path in (PASSWD, GROUP))
    return users, groups


def _rows(path: str, text: str) -> list[list[str]]:
    rows = [line.split(":") for line in text.split("\n") if line.strip()]
    for row in rows:
        if len(row) != FIELDS[path] or not all(row[number].isdecimal() for number in IDS.get(path, ())):
            raise AssemblyError(
                "ASSEMBLE_ACCOUNTS",
                f"{path} of the image has a line that is no account: {':'.join(row)[:80]!r}",
                hint="one of the packages, or its script, has written it",
            )
    return rows


def _text(rows: Iterable[Sequence[str]]) -> str:
    return "".join(":".join(row) + "\n" for row in rows)
