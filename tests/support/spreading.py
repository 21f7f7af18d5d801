"""Which tests share a process when several run: what is made for many tests is then made once."""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling

CLUSTER = "tests/cluster/"
RELEASE = re.compile(r"^tests/image/[^\[]*\[debian-(?P<release>[0-9]+)(-[^\]]*)?\]$")
"""Tests of the image that is composed and started once for each release."""


def group_of(nodeid: str) -> str:
    """Give the group of a test by its name: the cluster's, an image's, or its file's."""
    if nodeid.startswith(CLUSTER):
        return "cluster"
    found = RELEASE.match(nodeid)
    return f"image-{found['release']}" if found else nodeid.partition("::")[0]


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc] # has no types
    """Gives each process one group after the other, in the order of the tests."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
