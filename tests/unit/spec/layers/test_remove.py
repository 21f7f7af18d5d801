"""Taking out what was inherited."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.spec.layers.node import Budget, annotated, plain
from image_composer.spec.layers.remove import steps, without

TREE: dict[str, Any] = {
    "packages": ["curl=7.88", "vim"],
    "users": [{"name": "alice", "groups": ["adm", "wheel"], "shell": "/bin/sh"}, {"name": "bob"}],
    "sysctl": {"net.ipv4.ip_forward": "1", "vm.swappiness": "2"},
    "files": [{"path": "/etc/foo.conf"}],
    "disk": {"size": "8GiB", "partitions": [{"label": "root"}]},
    "systemd": {"dropIns": [{"unit": "a.service", "name": "x"}], "enable": ["b.service"]},
    "kernel": {"commandLine": ["console=ttyS0", "quiet"]},
}


def removed(path: str) -> Any:
    found = without(annotated(TREE, "", "", Budget()), steps(path))
    return None if found is None else plain(found)


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("packages[curl]", {"packages": ["vim"]}),
        ("packages[curl=7.88]", {"packages": ["vim"]}),
        ("users[alice]", {"users": [{"name": "bob"}]}),
        ("users[alice].shell", {"users": [{"name": "alice", "groups": ["adm", "wheel"]}, {"name": "bob"}]}),
        (
            "users[alice].groups[wheel]",
            {"users": [{"name": "alice", "groups": ["adm"], "shell": "/bin/sh"}, {"name": "bob"}]},
        ),
        ("sysctl[net.ipv4.ip_forward]", {"sysctl": {"vm.swappiness": "2"}}),
        ("files[/etc/foo.conf]", {"files": []}),
        ("disk.size", {"disk": {"partitions": [{"label": "root"}]}}),
        ("disk.partitions", {"disk": {"size": "8GiB"}}),
        ("systemd.dropIns[a.service/x]", {"systemd": {"dropIns": [], "enable": ["b.service"]}}),
        ("kernel.commandLine[quiet]", {"kernel": {"commandLine": ["console=ttyS0"]}}),
    ],
)
def test_a_path_names_what_goes(path: str, changed: dict[str, Any]) -> None:
    assert removed(path) == {**TREE, **changed}


@pytest.mark.parametrize(
    "path",
    [
        "packages[nano]",
        "packages.curl",
        "users[alice].uid",
        "users[carol].shell",
        "users.alice",
        "sysctl[net]",
        "disk.partitions[root]",
        "disk.size.unit",
        "disk[size][x]",
        "locale",
    ],
)
def test_what_names_nothing_is_noticed(path: str) -> None:
    assert removed(path) is None


@given(st.text(alphabet="abcpackgesurln.[]/=x", max_size=30).filter(lambda path: bool(steps(path))))
def test_no_path_breaks_it(path: str) -> None:
    found = removed(path)
    assert found is None or found != TREE
