"""An image's report as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from image_composer.inspect.model import ImageReport, SignatureFound
from image_composer.spec.base import format_size
from image_composer.spec.outputs import OutputFormat


def render_text(report: ImageReport) -> str:
    """Give the report as text for a terminal; nothing that an image holds can steer the terminal."""
    return "".join(f"{_printable(line)}\n" for line in _lines(report))


def _lines(report: ImageReport) -> Iterator[str]:
    packed = "" if report.compression == "none" else f" in {report.compression}"
    size = format_size(report.size)
    kind = "iso, an installer of this disk" if report.format == OutputFormat.ISO else report.format
    yield f"{report.file}: {kind}{packed}, {size}, partition table {report.partition_table}, {report.disk_id}"
    yield ""
    yield from _table(
        ("#", "label", "role", "file system", "start", "size", "uuid"),
        [
            (
                str(partition.number),
                partition.label,
                partition.role or partition.type,
                partition.filesystem or "-",
                format_size(partition.start),
                format_size(partition.size),
                partition.uuid or "-",
            )
            for partition in report.partitions
        ],
    )
    yield ""
    yield f"System:       {report.os_release.get('PRETTY_NAME', 'no root file system that can be read')}"
    yield f"Host name:    {report.hostname or '-'}"
    yield f"Kernel:       {report.kernel_version or '-'}"
    yield f"Root:         {_root(report)}"
    yield f"Boot loader:  {report.boot_loader or '-'}{' for ' if report.firmware else ''}{', '.join(report.firmware)}"
    if report.grub is not None:
        yield f"Boot image:   {report.grub.kernel or '-'} and {report.grub.initrd or '-'}, by {report.grub.path}"
        yield f"Command line: {report.grub.command_line or '-'}"
    for uki in report.ukis:
        yield f"Boot image:   {uki.path}"
        yield f"Command line: {uki.command_line or '-'}"
    for program in report.programs:
        yield f"Program:      {program.path}, {'; '.join(map(_signed, program.signatures)) or 'not signed'}"
    for line in report.fstab:
        yield f"Mount:        {line}"
    yield ""
    yield f"Packages: {len(report.packages)}"
    yield from _table(
        ("name", "version", "architecture"),
        [(package.name, package.version, package.architecture) for package in report.packages],
    )


def _root(report: ImageReport) -> str:
    """Say whether the root can change, and whether the partitions are those that the root hash names."""
    if report.root_hash is None:
        return "can be written to"
    ids = {(partition.uuid or "").replace("-", "") for partition in report.partitions}
    halves = {report.root_hash[:32], report.root_hash[32:]}
    named = "" if halves <= ids else "; NO partitions have it in their ids"
    return f"immutable, checked by dm-verity, root hash {report.root_hash}{named}"


def _signed(signature: SignatureFound) -> str:
    if signature.signer is None:
        return "with a signature that can't be read"
    by = f"by {signature.signer} (SHA-256 {signature.fingerprint})"
    return f"signed {by}" if signature.holds else f"NOT as it was signed {by}"


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
