"""Which files of an image packages brought, as the image's own package database says."""

from __future__ import annotations

from collections.abc import Collection, Iterable

DPKG_INFO = "/var/lib/dpkg/info/"
"""Where dpkg keeps a list of paths for each package."""

MERGED = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")
"""Folders that have become links into /usr; packages still name files by their old paths."""


def dpkg_files(lists: Iterable[bytes]) -> frozenset[str]:
    """Give the paths that dpkg's lists name."""
    return frozenset(
        line.decode("utf-8", "surrogateescape") for content in lists for line in content.split(b"\n") if line
    )


def through_links(path: str, links: Collection[str]) -> str:
    """Give the path where a file lies for which a package names one that leads over a link to /usr.

    Args:
        path: as the package names it.
        links: the links at the top of the tree.
    """
    top = path[: path.find("/", 1)]
    return f"/usr{path}" if top in MERGED and top in links else path
