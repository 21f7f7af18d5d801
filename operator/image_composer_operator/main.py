"""The command `image-composer-operator`."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import click

from image_composer.errors import SpecError
from image_composer_operator.settings import OperatorSettings, operator_version, read_settings


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(operator_version(), prog_name="image-composer-operator")
def cli() -> None:
    """Run builder pods for ImageBuilds of a cluster."""


@cli.command()
@click.option(
    "--settings",
    "path",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings (YAML); docs/operator.md explains them.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log everything.")
def run(path: Path, *, verbose: bool) -> None:
    """Watch ImageBuilds until the end, with the service account of the pod or the kubeconfig."""
    try:
        settings = read_settings(path)
    except SpecError as error:
        raise click.ClickException(f"{path}: {error.message}") from error
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
    level = "debug" if verbose else settings.log_level
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    if not verbose:
        logging.getLogger("kopf").setLevel(logging.WARNING)
    asyncio.run(operate(settings))


async def operate(settings: OperatorSettings) -> None:
    """Run the operator until it is stopped."""
    import kopf  # noqa: PLC0415 - half a second of loading that only this command needs

    from image_composer_operator.handlers import Memo, make_registry  # noqa: PLC0415 - as above

    await kopf.operator(
        registry=make_registry(),
        memo=Memo(settings),
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
    )


@cli.command()
def crd() -> None:
    """Print the CustomResourceDefinition of ImageBuild."""
    from image_composer_operator.crd import render_crd  # noqa: PLC0415 - one command needs it

    click.echo(render_crd(), nl=False)


def main() -> None:
    """Run the program."""
    cli(prog_name="image-composer-operator")
