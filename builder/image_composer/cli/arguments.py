"""Arguments and options that several commands have."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

LOCK_OPTION = click.option(
    "--lock",
    "lock",
    type=click.Path(path_type=Path),
    help="Build exactly the packages of this lock file, or fail.",
)
WORKSPACE_OPTION = click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to work in, kept afterwards. [default: one in the cache, removed afterwards]",
)
VARIABLE_OPTION = click.option(
    "--set",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    callback=lambda _, __, given: read_variables(given),
    help="Value of a variable of the document, instead of its own; can be given several times.",
)

KEY_OPTION = click.option(
    "--secure-boot-key",
    "key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Private key of the certificate in secureBoot, PEM. [default: IMAGE_COMPOSER_SECURE_BOOT_KEY]",
)

POD_WORKSPACE_OPTION = click.option(
    "--workspace", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder that the pod works in."
)


def read_variables(given: Sequence[str]) -> dict[str, str]:
    """Read `NAME=VALUE`; the document says which names there are."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE")
        if name in found:
            raise click.BadParameter(f"{name} is given twice")
        found[name] = value
    return found


def takes_document(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take a document, which it gets as `document`: by its place or as `--file`, as people expect it."""
    kind = click.Path(path_type=Path, allow_dash=True)
    told = "ImageBuild manifest or bare JSON spec, YAML or JSON; - for standard input."

    @click.argument("placed", metavar="[DOCUMENT]", required=False, type=kind)
    @click.option("-f", "--file", "named", type=kind, help=f"The document: {told}")
    @functools.wraps(command)
    def taking(*values: Any, placed: Path | None, named: Path | None, **more: Any) -> None:
        if placed is not None and named is not None:
            raise click.UsageError("two documents are named: give one, by itself or with --file")
        document = placed or named
        if document is None:
            raise click.UsageError("name the document: a file, or - for standard input")
        command(*values, document=document, **more)

    return taking
