"""SELinux's labels, each on the file system that holds its file."""

from __future__ import annotations

from image_composer.disk.ext4 import Ext4Parameters, settling_commands
from image_composer.disk.identity import Identity
from image_composer.disk.labels import labels_by_partition
from image_composer.settings import MIB
from image_composer.spec.disk import Partition

IDENTITY = Identity("0" * 64)


def partition(label: str, point: str | None, kind: str = "linux") -> Partition:
    return Partition.model_validate({"label": label, "type": kind, "filesystem": "ext4", "mountPoint": point})


ROOT, VAR, LOG = partition("root", "/", "root"), partition("var", "/var", "var"), partition("log", "/var/log")
LABELS = {
    "/": "root_t",
    "/etc": "etc_t",
    "/var": "var_t",
    "/var/lib": "var_lib_t",
    "/var/log": "var_log_t",
    "/var/log/a": "log_t",
    "/variety": "default_t",
}


def test_each_partition_holds_the_labels_of_its_own_files() -> None:
    assert labels_by_partition(LABELS, [ROOT, VAR, LOG, partition("spare", None)]) == {
        "root": {"/": "root_t", "/etc": "etc_t", "/var": "var_t", "/variety": "default_t"},
        "var": {"/": "var_t", "/lib": "var_lib_t", "/log": "var_log_t"},
        "log": {"/": "var_log_t", "/a": "log_t"},
    }


def test_a_single_partition_holds_all() -> None:
    assert labels_by_partition(LABELS, [ROOT]) == {"root": LABELS}


def test_debugfs_is_told_each_label_with_names_as_they_are() -> None:
    labels = {'/a "b"': "system_u:object_r:etc_t:s0"}
    parameters = Ext4Parameters(MIB, IDENTITY.disk(), IDENTITY.disk(), "x", 0, labels=labels)
    first = settling_commands(parameters, []).splitlines()[0]
    assert first == 'ea_set "/a ""b""" security.selinux "system_u:object_r:etc_t:s0\\000"'
