"""`python -m vendors`: check every release of every installed provider, or those of the distributions named."""

from __future__ import annotations

import time
from dataclasses import replace

import click

from image_composer.cli.session import Options, Session, new_build, run_session
from image_composer.cli.workspaces import opened_workspace
from image_composer.errors import ComposerError
from image_composer.provider import load_providers
from image_composer.stages import run_stages
from vendors.outcome import Outcome, document, exit_status, failed, succeeded, table


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Show the commands that are run.")
@click.argument("distributions", nargs=-1)
def main(distributions: tuple[str, ...], *, verbose: bool) -> None:
    """Resolve a small image of every release against the repositories that this machine would use."""

    def body(session: Session) -> int:
        wanted = [
            (name, release)
            for name, provider in load_providers().items()
            for release in provider.releases()
            if not distributions or name in distributions
        ]
        outcomes = [check(session, name, release) for name, release in wanted]
        session.display.close()
        click.echo(table(outcomes))
        return exit_status(outcomes)

    run_session(Options(verbose=verbose), body)


def check(session: Session, distribution: str, release: str) -> Outcome:
    """Check one release; whatever the composer has to say about its failure is an outcome."""
    began = time.monotonic()
    try:
        with opened_workspace(None, session.settings.cache_dir) as opened:
            build = new_build(session, opened)
            name = f"{distribution} {release}"
            run_stages(replace(build, document=document(distribution, release), document_name=name), last="resolve")
            return succeeded(distribution, release, build.lock, time.monotonic() - began)
    except ComposerError as error:
        return failed(distribution, release, error, time.monotonic() - began)


if __name__ == "__main__":
    main()
