"""What all models of the spec share: camelCase JSON, no unknown fields, and the small types they are made of."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from image_composer.spec.credentials import check_password_hash, check_ssh_key
from image_composer.spec.packages import check_package_request


def check_no_dots(path: str) -> str:
    """Give a path back that leads where it says.

    Raises:
        ValueError: with the sentence for the user.
    """
    if {".", ".."} & set(path.split("/")):
        raise ValueError("must not hold '.' or '..' between slashes")
    return path


class SpecModel(BaseModel):
    """A part of a document that people write: unknown fields are errors, values don't change once read."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        str_strip_whitespace=False,
        hide_input_in_errors=True,  # it may be a password hash
    )


Flag = Annotated[bool, Field(strict=True)]
"""True or false, and not `"yes"`: what is read here and what a cluster accepts must be the same."""

Number = Annotated[int, Field(strict=True)]
"""A whole number, and no text or fraction that stands for one."""

ImageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$", max_length=63)]
"""Lower-case letters, digits, dots and dashes; becomes part of file names, object keys and labels."""

ImageVersion = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+~_-]{0,63}$", max_length=64)]
"""As systemd compares versions; becomes part of file names."""

PackageName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9+._-]{0,127}$", max_length=128)]
"""A package's name as its repository spells it."""

PackageVersion = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+~:^_-]{0,127}$", max_length=128)]
"""A package's full version."""

PackageRequest = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(check_package_request)]
"""`name` or `name=version`."""

PasswordHash = Annotated[str, StringConstraints(max_length=512), AfterValidator(check_password_hash)]
"""A password hash of crypt(5)."""

SshKey = Annotated[str, StringConstraints(min_length=1, max_length=16384), AfterValidator(check_ssh_key)]
"""One line of an authorized_keys file."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)]
"""A SHA-256 in lower-case hex."""

Url = Annotated[str, StringConstraints(pattern=r"^(https?|file)://[!-~]+$", max_length=2008)]
"""An absolute URL without spaces."""

AbsolutePath = Annotated[
    str,
    StringConstraints(pattern=r"^/([A-Za-z0-9._@+-]+(/[A-Za-z0-9._@+-]+)*)?$", max_length=255),
    AfterValidator(check_no_dots),
]
"""A path in the image, without `//`, `.`, `..` or a slash at its end."""

RelativePath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._@+-]+(/[A-Za-z0-9._@+-]+)*$", max_length=255),
    AfterValidator(check_no_dots),
]
"""Something in a document's folder or below: no way leads out."""

UserName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$", max_length=32)]
"""A user's or group's name as useradd accepts it everywhere."""

KernelArgument = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$", max_length=512)]
"""One argument of the kernel's command line, printable ASCII."""

HostName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$", max_length=64
    ),
]
"""A host name in lower case; 64 bytes is the kernel's limit."""

ByteSize = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,11}(KiB|MiB|GiB|TiB)$", max_length=15)]
"""A size with its unit, such as `512MiB` or `8GiB`."""

PartitionSize = Annotated[
    str,
    StringConstraints(pattern=r"^([1-9][0-9]{0,11}(KiB|MiB|GiB|TiB)|([1-9][0-9]?|100)%)$", max_length=15),
]
"""A size with its unit, or a share of the disk such as `25%`."""

Duration = Annotated[
    str,
    StringConstraints(
        pattern=r"^([1-9][0-9]{0,5}h)?([1-9][0-9]{0,5}m)?([1-9][0-9]{0,6}s)?$", min_length=2, max_length=22
    ),
]
"""A length of time such as `90s`, `1h30m` or `2h`."""

_SECONDS = {"h": 3600, "m": 60, "s": 1}

_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def parse_size(text: str) -> int:
    """Give the bytes that a `ByteSize` stands for."""
    match = re.fullmatch(r"([0-9]+)(KiB|MiB|GiB|TiB)", text)
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 512MiB")
    return int(match[1]) * _UNITS[match[2]]


def parse_share(text: str) -> int | None:
    """Give the hundredths of the disk that a `PartitionSize` stands for; None when it is a size with a unit."""
    return int(text[:-1]) if text.endswith("%") else None


def format_size(size: int) -> str:
    """Give a size in bytes as people read it, for example `1.4 GiB`."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:.1f} {unit}"
    return f"{size} B"


def parse_duration(text: str) -> int:
    """Give the seconds of a `Duration`."""
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"([0-9]+)([hms])", text))
