"""`python -m containers`: make the container images of builder and operator; `make containers` calls it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from containers.cache import LayerCache
from containers.compose import ImageMaker
from containers.recipes import recipes
from image_composer.cli.session import LOG_FORMATS, Options, Session, run_session
from image_composer.spec.base import format_size

NAMES = [recipe.name for recipe in recipes()]


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("out/containers"))
@click.option("--refresh", is_flag=True, help="Ask the mirrors for newer packages, even if that was done today.")
@click.option("-v", "--verbose", is_flag=True, help="Show the commands that are run.")
@click.option("--log-format", type=click.Choice(LOG_FORMATS), default="auto")
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
def main(output: Path, names: tuple[str, ...], log_format: str, *, refresh: bool, verbose: bool) -> None:
    """Make the container images that are named, or all, as archives."""

    def body(session: Session) -> None:
        maker = ImageMaker(session, LayerCache.of(os.environ), output, refresh)
        made = []
        for recipe in recipes():
            if recipe.name in (names or NAMES):
                with session.reporter.stage(recipe.name, f"making the image {recipe.repository}"):
                    made.append(maker.make(recipe))
        maker.cache.trim()
        session.display.close()
        for archive in made:
            click.echo(f"{archive.path}  {format_size(archive.path.stat().st_size)}  {' '.join(archive.references)}")

    os.umask(0o022)
    run_session(Options(log_format=log_format, verbose=verbose), body)


if __name__ == "__main__":
    main()
