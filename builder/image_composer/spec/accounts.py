"""Accounts of people and services, and how they get in."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from image_composer.spec.base import (
    AbsolutePath,
    Flag,
    Number,
    PasswordHash,
    SpecModel,
    SshKey,
    UserName,
)
from image_composer.spec.text import Text

AccountDay = Annotated[
    str, StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$", max_length=10)
]
"""A day, such as `2027-12-31`."""

FullName = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f:,=]{1,128}$", max_length=128)]
"""A name for people to read."""

SudoCommand = Annotated[
    str,
    StringConstraints(pattern=r"^(/[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*)+( [A-Za-z0-9._@+/=:-]+)*$", max_length=1000),
]
"""A program by its path, with the arguments it may be given; with none, any."""


class Sudo(StrEnum):
    """What a user may do with sudo."""

    NONE = "none"
    PASSWORD = "password"  # noqa: S105 - a rule's name, not a password
    PASSWORDLESS = "passwordless"


class User(SpecModel):
    """A user account. Locked unless it is given a way in; it never has an empty password."""

    name: UserName
    """Login name; `root` changes the existing account."""

    password_hash: PasswordHash | None = None
    """Hash as `openssl passwd -6` or `mkpasswd` print it; the password is locked when absent."""

    ssh_authorized_keys: list[SshKey] = Field(default_factory=list, max_length=64)
    """Public keys that may log in, each as one line of an authorized_keys file."""

    groups: list[UserName] = Field(default_factory=list, max_length=64)
    """Further groups; one that no package brings is created."""

    uid: Number | None = Field(default=None, ge=1000, le=59999)
    """User id; the next free one from 1000 when absent."""

    shell: AbsolutePath | None = None
    """Login shell; `/bin/bash` when absent."""

    home: AbsolutePath | None = None
    """Home folder; `/home/<name>` when absent."""

    sudo: Sudo = Sudo.NONE
    """Whether the user may run everything with sudo; brings the package."""

    sudo_commands: list[SudoCommand] = Field(default_factory=list, max_length=64)
    """Only these may be run with sudo, instead of everything."""

    full_name: FullName | None = None
    """Name for people to read."""

    expires: AccountDay | None = None
    """First day on which nobody can log in as this user; never when absent."""


class Group(SpecModel):
    """A group."""

    name: UserName
    """Its name."""

    gid: Annotated[Number, Field(ge=100, le=59999)] | None = None
    """Group id; the next free one below 1000 when absent."""


class RootLogin(StrEnum):
    """How root may log in over SSH."""

    NEVER = "never"
    KEYS = "keys"
    """With a key, and never with a password."""


class SshServer(SpecModel):
    """Settings of the SSH server, where there is one; what is absent is the distribution's choice."""

    root_login: RootLogin | None = None
    """How root may log in."""

    password_authentication: Flag | None = None
    """Whether passwords are taken at all."""

    port: Annotated[Number, Field(ge=1, le=65535)] | None = None
    """Port that it listens on; 22 when absent."""

    banner: Text | None = None
    """Shown before a login."""
