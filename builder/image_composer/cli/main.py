"""The command `image-composer`: arguments and help; what commands do is in the modules beside this one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from image_composer import __version__
from image_composer.cli import pod as pod_commands
from image_composer.cli import stage as stage_command
from image_composer.cli.arguments import (
    KEY_OPTION,
    LOCK_OPTION,
    POD_WORKSPACE_OPTION,
    VARIABLE_OPTION,
    WORKSPACE_OPTION,
    takes_document,
)
from image_composer.cli.session import LOG_FORMATS, Options
from image_composer.stages import STAGES

if TYPE_CHECKING:
    from image_composer.cli import commands
else:

    class _Commands:
        """The module `commands`, loaded when it is used: a stage without work to do ends before that."""

        def __getattr__(self, name: str) -> Any:
            return getattr(import_module("image_composer.cli.commands"), name)

    commands = _Commands()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="image-composer")
@click.option("-v", "--verbose", is_flag=True, help="Show the commands that are run.")
@click.option(
    "--log-format",
    type=click.Choice(LOG_FORMATS),
    default="auto",
    help="auto: live on a terminal, lines otherwise; json: one JSON object a line.",
)
@click.pass_context
def cli(context: click.Context, *, verbose: bool, log_format: str) -> None:
    """Compose bootable operating system images from packages.

    Exit status: 0 success, 1 the machine's, the network's or our fault, 2 a mistake in the document or the
    arguments, 130 interrupted.
    """
    context.obj = Options(log_format=log_format, verbose=verbose)


@cli.command()
@takes_document
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to publish to, replaced as a whole. [default: the document's destination, else 'out']",
)
@LOCK_OPTION
@KEY_OPTION
@WORKSPACE_OPTION
@VARIABLE_OPTION
@click.pass_obj
def build(
    options: Options,
    *,
    document: Path,
    output: Path | None,
    lock: Path | None,
    key: Path | None,
    workspace: Path | None,
    variables: Mapping[str, str],
) -> None:
    """Compose an image and publish it with its SBOM, lock and checksums."""
    commands.build(options, document, output=output, lock=lock, key=key, workspace=workspace, variables=variables)


@cli.command()
@takes_document
@KEY_OPTION
@VARIABLE_OPTION
@click.pass_obj
def validate(options: Options, *, document: Path, key: Path | None, variables: Mapping[str, str]) -> None:
    """Check a document and list every problem; needs no network."""
    commands.validate(options, document, key, variables)


@cli.command()
@takes_document
@VARIABLE_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--origins", "with_origins", is_flag=True, help="Say where each value was written.")
@click.pass_obj
def render(
    options: Options, *, document: Path, variables: Mapping[str, str], as_json: bool, with_origins: bool
) -> None:
    """Print a document and all that it builds on as one, with variables filled in and without secrets."""
    commands.render(options, document, variables, as_json=as_json, with_origins=with_origins)


@cli.command()
@takes_document
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default=Path("-"),
    help="File to write the lock to. [default: standard output]",
)
@VARIABLE_OPTION
@click.pass_obj
def lock(options: Options, *, document: Path, output: Path, variables: Mapping[str, str]) -> None:
    """Resolve a document to a lock file without building anything."""
    commands.lock(options, document, output, variables)


@cli.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def diff(options: Options, old: Path, new: Path, *, as_json: bool) -> None:
    """Show which packages two lock files differ in."""
    commands.diff(options, old, new, as_json=as_json)


@cli.command()
@click.option("--markdown", is_flag=True, help="Print the reference page for people instead.")
@click.pass_obj
def schema(options: Options, *, markdown: bool) -> None:
    """Print the JSON Schema (2020-12) of the spec."""
    commands.schema(options, markdown=markdown)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def providers(options: Options, *, as_json: bool) -> None:
    """List distributions, releases and architectures."""
    commands.providers(options, as_json=as_json)


@cli.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every package.")
@click.pass_obj
def inspect(options: Options, image: Path, *, as_json: bool) -> None:
    """Tell what is in a raw image, without mounting it."""
    commands.inspect(options, image, as_json=as_json)


@cli.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def compare(options: Options, old: Path, new: Path, *, as_json: bool) -> None:
    """Tell in what two images differ, in any formats; exit status 0 the same, 1 different, 2 trouble."""
    commands.compare(options, old, new, as_json=as_json)


@cli.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--memory", default=2048, show_default=True, type=click.IntRange(min=128), help="Memory in MiB.")
@click.option("--ssh-port", type=click.IntRange(1, 65535), help="Port of this host that leads to the image's SSH.")
@click.option("--secure-boot", is_flag=True, help="With firmware that has Secure Boot and is in setup mode.")
@click.option("--write", is_flag=True, help="Let the machine change the image; it is left as it is otherwise.")
@click.option("--bios", is_flag=True, help="Start it with a BIOS instead of UEFI.")
@click.pass_obj
def boot(
    options: Options, image: Path, memory: int, ssh_port: int | None, *, secure_boot: bool, bios: bool, write: bool
) -> None:
    """Start a raw image in QEMU, with its console here; Ctrl-A X ends it."""
    if secure_boot and bios:
        raise click.UsageError("a BIOS has no Secure Boot: give --bios or --secure-boot")
    commands.boot(options, image, memory=memory, ssh_port=ssh_port, secure_boot=secure_boot, bios=bios, write=write)


@cli.group()
def cache() -> None:
    """Look at the cache of packages and metadata, or empty it."""


@cache.command("show")
@click.pass_obj
def cache_show(options: Options) -> None:
    """Tell where the cache is and how large."""
    commands.cache_show(options)


@cache.command("trim")
@click.pass_obj
def cache_trim(options: Options) -> None:
    """Remove what was not used for longest, down to IMAGE_COMPOSER_CACHE_SIZE_MIB."""
    commands.cache_trim(options)


@cache.command("clear")
@click.pass_obj
def cache_clear(options: Options) -> None:
    """Remove everything that no build is using."""
    commands.cache_clear(options)


@cli.command()
@click.pass_obj
def doctor(options: Options) -> None:
    """Check what this machine lacks for composing images, and say how to get it."""
    commands.doctor(options)


@cli.command()
@click.argument("name", type=click.Choice([stage.name for stage in STAGES]))
@click.option("--workspace", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to work in.")
@click.option("-f", "--file", "document", type=click.Path(path_type=Path, allow_dash=True), help="For validate.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="For publish: a folder instead of the document's destination.",
)
@LOCK_OPTION
@click.pass_obj
def stage(
    options: Options, *, name: str, workspace: Path, document: Path | None, output: Path | None, lock: Path | None
) -> None:
    """Run one stage by itself in a workspace, as a builder pod does."""
    if name == "validate" and document is None:
        raise click.UsageError("the stage validate needs --file")
    stage_command.run_one_stage(options, name, workspace=workspace, document=document, output=output, lock=lock)


@cli.group()
def pod() -> None:
    """Run what the operator's builder pods run beside the stages."""


@pod.command("preflight")
@POD_WORKSPACE_OPTION
@click.pass_obj
def pod_preflight(options: Options, workspace: Path) -> None:
    """See that the bucket can be published to, and skip the stages where that has been done already."""
    pod_commands.preflight(options, workspace=workspace)


@pod.command("log")
@POD_WORKSPACE_OPTION
@click.pass_obj
def pod_log(options: Options, workspace: Path) -> None:
    """Wait for SIGTERM, then upload the log of the pod's containers; never fails."""
    pod_commands.log(options, workspace=workspace)


@pod.command("clean")
@click.option(
    "--document", required=True, type=click.Path(path_type=Path), help="ImageBuild; its name and destination count."
)
@click.pass_obj
def pod_clean(options: Options, document: Path) -> None:
    """Remove everything that an ImageBuild has published, and its unfinished uploads."""
    pod_commands.clean(options, document)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell: eval "$(image-composer completion bash)"."""
    commands.completion(cli, shell)


def main() -> None:
    """Run the program."""
    os.umask(0o022)  # the sandbox has ids of its own and reads packages that this process has written
    cli(prog_name="image-composer")
