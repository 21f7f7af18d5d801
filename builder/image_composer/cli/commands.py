"""What each command does, once its arguments are read. Results go to standard output, everything else to error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import click
from click.shell_completion import get_completion_class

from image_composer.cli.memory import use_memory
from image_composer.cli.session import Options, Session, new_build, run_session, with_document, with_key
from image_composer.cli.workspaces import opened_workspace
from image_composer.digest import pretty_json
from image_composer.errors import ComposerError, InspectError, Problem, SpecError
from image_composer.manifest import Manifest
from image_composer.pod.message import PublishedResult
from image_composer.provider import load_providers
from image_composer.repository.lock import read_lock
from image_composer.spec.base import format_size
from image_composer.spec.document import read_document
from image_composer.spec.layers.written import as_yaml, rendered, shown_origins
from image_composer.spec.outputs import PARTS
from image_composer.spec.parse import parse
from image_composer.spec.reference import reference_markdown
from image_composer.spec.schema import image_schema
from image_composer.stages import run_stages
from image_composer.steps.build import Build
from image_composer.steps.preflight import preflight
from image_composer.store.content import ContentStore, Trimmed
from image_composer.workspace import PublishPlace

OUTPUT = Path("out")
"""Folder to publish to when neither the command line nor the document says where."""


def build(
    options: Options,
    document: Path,
    *,
    output: Path | None,
    lock: Path | None,
    key: Path | None,
    workspace: Path | None,
    variables: Mapping[str, str],
) -> NoReturn:
    """Run all stages."""

    def body(given: Session) -> None:
        session = with_key(given, key)
        with opened_workspace(workspace, session.settings.cache_dir) as opened:
            started = with_document(new_build(session, opened), document, variables)
            current = replace(
                started, destination=output, default_destination=OUTPUT, given_lock=lock, stands_alone=True
            )
            run_stages(current, last="validate")
            published = preflight(current) if isinstance(current.place, PublishPlace) else None
            if published is None:
                build_and_publish(session, current, in_memory=workspace is None)
                published = opened.read(opened.published, PublishedResult)
            text = summary(current, published, session.reporter.timings)
        session.display.close()
        session.conclusion.result = published
        click.echo(text)

    run_session(options, body, name="build")


def build_and_publish(session: Session, current: Build, *, in_memory: bool) -> None:
    """Run the stages after the first."""
    run_stages(current, first="resolve", last="fetch")
    if in_memory:
        use_memory(current.workspace, current.lock, session.reporter)
    run_stages(current, first="assemble")
    current.store.trim()


def summary(current: Build, published: PublishedResult, timings: Mapping[str, float]) -> str:
    """Give what a user wants to see at the end of a build."""
    place, image = current.place, current.spec.image
    base = f"{place}/" if isinstance(place, Path) else published.folder
    lines = [f"{image.name} {image.version}: {published.package_count} packages, kernel {published.kernel_version}"]
    lines += [
        f"  {base}{artifact.file}  {format_size(artifact.size)}  sha256:{artifact.sha256[:16]}..."
        for artifact in published.artifacts
    ]
    lines += [f"  {base}{document.file}" for document in published.documents]
    lines += [f"  {base}{published.result}"]
    lines += ["published before; nothing was built" if published.reused else f"in {sum(timings.values()):.1f} s"]
    startable = (found for found in published.artifacts if found.compression == "none" and found.format not in PARTS)
    raw = next(startable, None)
    if raw is not None and isinstance(place, Path):
        lines.append(f"Start it with: image-composer boot {place / raw.file}")
    return "\n".join(lines)


def validate(options: Options, document: Path, key: Path | None, variables: Mapping[str, str]) -> NoReturn:
    """Run the first stage alone."""

    def body(session: Session) -> None:
        with opened_workspace(None, session.settings.cache_dir) as opened:
            build = with_document(new_build(with_key(session, key), opened), document, variables)
            run_stages(build, last="validate")
        click.echo(f"{document}: valid")

    run_session(options, body)


def render(
    options: Options, document: Path, variables: Mapping[str, str], *, as_json: bool, with_origins: bool
) -> NoReturn:
    """Print a document with all that it builds on, as one."""

    def body(session: Session) -> None:
        with opened_workspace(None, session.settings.cache_dir) as opened:
            current = with_document(new_build(session, opened), document, variables)
        content, name = current.document or b"", current.document_name
        found = read_document(content, name, current.surroundings)
        whole = rendered(parse(content, name), found)
        shown = shown_origins(found, name) if with_origins else {}
        if as_json:
            click.echo(pretty_json({"document": whole, "origins": shown} if with_origins else whole), nl=False)
        else:
            click.echo(as_yaml(whole, shown), nl=False)

    run_session(options, body)


def lock(options: Options, document: Path, output: Path, variables: Mapping[str, str]) -> NoReturn:
    """Run the stages up to the lock."""

    def body(session: Session) -> None:
        with opened_workspace(None, session.settings.cache_dir) as opened:
            run_stages(with_document(new_build(session, opened), document, variables), last="resolve")
            text = opened.lock.read_text()
            if str(output) == "-":
                click.echo(text, nl=False)
            else:
                unfinished = output.with_name(f".{output.name}.part")
                unfinished.write_text(text)
                unfinished.replace(output)

    run_session(options, body)


def diff(options: Options, old: Path, new: Path, *, as_json: bool) -> NoReturn:
    """Compare two locks."""
    from image_composer.repository.lock_diff import diff_locks, render_text  # noqa: PLC0415 - one command needs it

    def body(_: Session) -> None:
        found = diff_locks(read_lock(old), read_lock(new))
        click.echo(pretty_json(found.model_dump(mode="json")) if as_json else render_text(found), nl=not as_json)

    run_session(options, body)


def schema(options: Options, *, markdown: bool) -> NoReturn:
    """Print the JSON Schema, or the reference page."""

    def body(_: Session) -> None:
        click.echo(reference_markdown() if markdown else pretty_json(image_schema()), nl=False)

    run_session(options, body)


def providers(options: Options, *, as_json: bool) -> NoReturn:
    """List what can be built."""

    def body(_: Session) -> None:
        manifests = [
            provider.manifest(release) for provider in load_providers().values() for release in provider.releases()
        ]
        if as_json:
            click.echo(pretty_json([provider_row(manifest) for manifest in manifests]), nl=False)
            return
        rows = [("DISTRIBUTION", "RELEASE", "ARCHITECTURES", "PROFILES", "TITLE")]
        rows += [
            (
                manifest.distribution,
                manifest.release,
                ",".join(sorted(manifest.architectures)),
                ",".join(profile_names(manifest)) or "-",
                manifest.title,
            )
            for manifest in manifests
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            click.echo("  ".join(cells).rstrip())

    run_session(options, body)


def provider_row(manifest: Manifest) -> dict[str, object]:
    """Give what scripts may want to know of a release."""
    return {
        "distribution": manifest.distribution,
        "release": manifest.release,
        "title": manifest.title,
        "architectures": sorted(manifest.architectures),
        "profiles": {name: manifest.profiles[name].title for name in profile_names(manifest)},
        "defaultProfile": manifest.default_profile,
    }


def profile_names(manifest: Manifest) -> list[str]:
    """Give the names of a release's profiles, the default one first."""
    return sorted(manifest.profiles, key=lambda name: (name != manifest.default_profile, name))


def inspect(options: Options, image: Path, *, as_json: bool) -> NoReturn:
    """Look into an image."""
    from image_composer.inspect.image import inspect_image  # noqa: PLC0415 - one command needs it
    from image_composer.inspect.render import render_text  # noqa: PLC0415 - one command needs it

    def body(session: Session) -> None:
        report = inspect_image(image, session.runner)
        text = pretty_json(report.model_dump(mode="json", by_alias=True)) if as_json else render_text(report)
        click.echo(text, nl=not as_json)

    run_session(options, body)


def compare(options: Options, old: Path, new: Path, *, as_json: bool) -> NoReturn:
    """Compare two images; ends as diff(1) does: 0 the same, 1 different, 2 trouble."""
    from image_composer.inspect.compare import compare_images, render_diff  # noqa: PLC0415 - one command needs it

    def body(session: Session) -> int:
        try:
            found = compare_images(old, new, session.runner)
        except ComposerError as error:
            raise InspectError(error.code, error.message, hint=error.hint) from error
        text = pretty_json(found.model_dump(mode="json", by_alias=True)) if as_json else render_diff(found)
        click.echo(text, nl=not as_json)
        return 0 if found.same else 1

    run_session(options, body)


def boot(
    options: Options, image: Path, *, memory: int, ssh_port: int | None, secure_boot: bool, bios: bool, write: bool
) -> NoReturn:
    """Start an image here."""
    from image_composer.inspect.table import architecture_of  # noqa: PLC0415 - one command needs it
    from image_composer.verify import qemu  # noqa: PLC0415 - one command needs it
    from image_composer.verify.boot import interactive  # noqa: PLC0415 - one command needs it

    def body(session: Session) -> None:
        if not image.is_file():
            raise SpecError([Problem("IMAGE", f"{image} is not a file", "SPEC_UNREADABLE")])
        architecture = architecture_of(image, session.runner)
        hardware = qemu.Hardware(
            accelerator=qemu.choose_accelerator(session.runner, architecture),
            firmware=None if bios else qemu.find_firmware(secure=secure_boot, architecture=architecture),
            memory_mib=memory,
            snapshot=not write,
            ssh_port=ssh_port,
            architecture=architecture,
        )
        session.display.close()
        click.echo(f"starting {image} with {hardware.accelerator}; Ctrl-A X ends it", err=True)
        interactive(session.runner, image, hardware)

    run_session(options, body)


def cache_show(options: Options) -> NoReturn:
    """Tell about the cache."""

    def body(session: Session) -> None:
        with opened_workspace(None, session.settings.cache_dir) as opened:
            usage = new_build(session, opened).store.usage()
        click.echo(f"{session.settings.cache_dir}: {usage.files} files, {format_size(usage.bytes)}")

    run_session(options, body)


def cache_trim(options: Options) -> NoReturn:
    """Make the cache as small as the settings say."""
    shrink_cache(options, ContentStore.trim)


def cache_clear(options: Options) -> NoReturn:
    """Empty the cache."""
    shrink_cache(options, ContentStore.clear)


def shrink_cache(options: Options, shrink: Callable[[ContentStore], Trimmed]) -> NoReturn:
    """Remove files from the cache and tell how many."""

    def body(session: Session) -> None:
        with opened_workspace(None, session.settings.cache_dir) as opened:
            trimmed = shrink(new_build(session, opened).store)
        click.echo(f"removed {trimmed.files} files, {format_size(trimmed.bytes)}; {trimmed.in_use} are in use")

    run_session(options, body)


def doctor(options: Options) -> NoReturn:
    """Check this machine."""
    from image_composer import doctor as checking  # noqa: PLC0415 - one command needs it

    def body(session: Session) -> int:
        host = checking.this_host(session.runner, cache=session.settings.cache_dir, workspace=Path.cwd())
        found = checking.checks(host)
        click.echo(checking.render(found))
        return 0 if checking.can_build(found) else 1

    run_session(options, body)


def completion(group: click.Group, shell: str) -> None:
    """Print a completion script."""
    found = get_completion_class(shell)
    if found is not None:
        click.echo(found(group, {}, "image-composer", "_IMAGE_COMPOSER_COMPLETE").source())
