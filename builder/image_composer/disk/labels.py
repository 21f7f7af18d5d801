"""SELinux's labels by partition: each file system holds those of its own files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from image_composer.spec.disk import Partition


def labels_by_partition(labels: Mapping[str, str], partitions: Sequence[Partition]) -> dict[str, dict[str, str]]:
    """Give labels by the partition's label, and there by the path in its file system.

    A mount point is there twice: as an empty folder of the file system that it is in, and as the top of its own.

    Args:
        labels: by path of the whole root.
        partitions: of the disk.
    """
    points = {one.mount_point: one.label for one in partitions if one.mount_point is not None}
    found: dict[str, dict[str, str]] = {label: {} for label in points.values()}
    for path, label in labels.items():
        for point in _points_above(path, points):
            inside = path[len(point) :] if point != "/" else path
            found[points[point]][inside or "/"] = label
    return found


def _points_above(path: str, points: Mapping[str, str]) -> list[str]:
    """Give the mount point that a path lies below, and for a mount point that of its parent, too."""
    own = _nearest(path, points)
    if path != own or path == "/":
        return [own]
    return [own, _nearest(path.rsplit("/", 1)[0] or "/", points)]


def _nearest(path: str, points: Mapping[str, str]) -> str:
    while path not in points:
        path = path.rsplit("/", 1)[0] or "/"
    return path
