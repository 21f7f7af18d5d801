from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_composer.disk.gpt_types import ATTRIBUTE_GROW_FILESYSTEM
from image_composer.disk.identity import Identity
from image_composer.disk.layout import ALIGNMENT, BACKUP_TABLE, MAXIMUM_DISK, DiskLayout, exact_size, plan
from image_composer.errors import EXIT_USER, DiskTooSmallError, SpecError
from image_composer.settings import GIB, MIB
from image_composer.spec.disk import Filesystem, Partition, PartitionType
from image_composer.spec.image import Architecture

ESP = Partition(label="esp", type=PartitionType.ESP, filesystem=Filesystem.VFAT)
ROOT = Partition(label="root", type=PartitionType.ROOT, filesystem=Filesystem.EXT4)


def layout(
    partitions: Sequence[Partition],
    contents: Mapping[str, int],
    disk_size: int | None = None,
    architecture: Architecture = Architecture.X86_64,
) -> DiskLayout:
    return plan(
        partitions,
        contents,
        disk_size=disk_size,
        architecture=architecture,
        identity=Identity("c" * 64),
        path_prefix="spec.image",
    )


def test_partitions_without_sizes_get_their_content_and_headroom() -> None:
    planned = layout([ESP, ROOT], {"esp": 60 * MIB, "root": 800 * MIB - 5})
    assert [(part.offset, part.size) for part in planned.partitions] == [
        (1 * MIB, 92 * MIB),  # a fourth would be less than the least headroom of 32 MiB
        (93 * MIB, 1056 * MIB),  # nor would it reach the 256 MiB of an ext4
    ]
    assert planned.size == 1150 * MIB


def test_a_partition_keeps_the_size_that_the_spec_gives_it() -> None:
    planned = layout([ESP.model_copy(update={"size": "256MiB"}), ROOT], {"esp": MIB, "root": MIB}, 4 * GIB)
    assert planned.by_label("esp").size == 256 * MIB


def test_the_last_partition_takes_the_rest_of_a_fixed_disk() -> None:
    planned = layout([ESP, ROOT], {"esp": 60 * MIB, "root": 800 * MIB}, 4 * GIB)
    assert planned.size == 4 * GIB
    assert planned.by_label("root").end == 4 * GIB - MIB


def test_a_growing_partition_takes_the_rest_beyond_its_size_and_is_marked() -> None:
    root = ROOT.model_copy(update={"size": "1GiB", "grow": True})
    planned = layout([ESP, root], {"root": 800 * MIB}, 4 * GIB).by_label("root")
    assert planned.end == 4 * GIB - MIB
    assert planned.attributes == (ATTRIBUTE_GROW_FILESYSTEM,)


def test_a_last_partition_of_given_size_leaves_the_rest_free() -> None:
    planned = layout([ESP, ROOT.model_copy(update={"size": "1GiB"})], {}, 4 * GIB)
    assert planned.by_label("root").size == GIB
    assert planned.by_label("root").attributes == ()


def test_headroom_shrinks_before_a_disk_is_too_small() -> None:
    least = 2 * MIB + 60 * MIB + 800 * MIB
    tight = layout([ESP, ROOT], {"esp": 60 * MIB, "root": 800 * MIB}, least)
    assert [part.size // MIB for part in tight.partitions] == [60, 800]
    looser = layout([ESP, ROOT], {"esp": 60 * MIB, "root": 800 * MIB}, least + 116 * MIB)
    assert [part.size // MIB for part in looser.partitions] == [72, 904]


def test_a_disk_that_is_too_small_is_told_with_what_is_needed_and_where() -> None:
    with pytest.raises(DiskTooSmallError) as raised:
        layout([ESP, ROOT], {"esp": 60 * MIB, "root": 800 * MIB}, 861 * MIB)
    assert raised.value.code == "DISK_TOO_SMALL"
    assert raised.value.exit_status == EXIT_USER
    assert raised.value.message == (
        "spec.image.disk.size: the disk has 861MiB, but at least 862MiB are needed: esp 60MiB, root 800MiB, "
        "partition table 2MiB"
    )
    assert "862MiB" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("partition", "content", "message"),
    [
        pytest.param(
            ROOT.model_copy(update={"size": "512MiB"}),
            1536 * MIB,
            "spec.image.disk.partitions[0].size: the partition root has 512MiB, but its content needs 1536MiB",
            id="content",
        ),
        pytest.param(
            ESP.model_copy(update={"size": "32MiB"}),
            0,
            "spec.image.disk.partitions[0].size: the partition esp has 32MiB, "
            "but the smallest vfat file system has 33MiB",
            id="fat32",
        ),
        pytest.param(
            ROOT.model_copy(update={"size": "4MiB"}),
            MIB,
            "spec.image.disk.partitions[0].size: the partition root has 4MiB, "
            "but the smallest ext4 file system has 16MiB",
            id="ext4",
        ),
    ],
)
def test_a_partition_that_is_too_small_is_named(partition: Partition, content: int, message: str) -> None:
    with pytest.raises(DiskTooSmallError) as raised:
        layout([partition], {partition.label: content})
    assert raised.value.message == message


@pytest.mark.parametrize("size", ["17TiB", "999999999999TiB"])
def test_sizes_that_no_machine_can_make_are_the_user_s_error(size: str) -> None:
    with pytest.raises(SpecError) as raised:
        layout([ROOT.model_copy(update={"size": size})], {})
    assert raised.value.problems[0].path == "spec.image.disk.size"
    with pytest.raises(SpecError):
        layout([ROOT], {}, MAXIMUM_DISK + 1)


def test_the_root_s_type_names_the_architecture() -> None:
    layouts = [layout([ROOT], {}, architecture=architecture) for architecture in Architecture]
    assert {str(planned.partitions[0].type_guid) for planned in layouts} == {
        "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
        "b921b045-1df0-41c3-af44-4c6f280d3fae",
    }


def test_labels_and_ids_are_what_the_file_systems_can_hold() -> None:
    esp = ESP.model_copy(update={"label": "esp.of-this-box"})
    root = ROOT.model_copy(update={"label": "root-of-this-large-box"})
    first, second = layout([esp, root], {}).partitions
    assert first.filesystem_label == "ESP_OF-THIS"
    assert second.filesystem_label == "root-of-this-lar"
    assert len(first.filesystem_uuid) == 9
    assert len(second.filesystem_uuid) == 36


@pytest.mark.parametrize(
    ("size", "text"), [(GIB, "1GiB"), (1536 * MIB, "1536MiB"), (MIB // 2, "512KiB"), (2 * GIB - 1024, "2097151KiB")]
)
def test_sizes_are_spelt_exactly(size: int, text: str) -> None:
    assert exact_size(size) == text


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[Partition], dict[str, int]]:
    partitions: list[Partition] = []
    contents: dict[str, int] = {}
    for index in range(draw(st.integers(1, 6))):
        content = draw(st.integers(0, 3 * GIB))
        filesystem = draw(st.sampled_from(list(Filesystem)))
        surely_enough = max(content // MIB + 1, 300)
        size = draw(st.none() | st.integers(surely_enough, 2 * surely_enough).map("{}MiB".format))
        label = f"part{index}"
        kind = draw(st.sampled_from(list(PartitionType)))
        partitions.append(Partition(label=label, type=kind, filesystem=filesystem, size=size))
        contents[label] = content
    if draw(st.booleans()):
        partitions[-1] = partitions[-1].model_copy(update={"grow": True})
    return partitions, contents


@given(request=requests(), extra=st.none() | st.integers(0, 8 * GIB))
def test_every_layout_is_aligned_free_of_overlap_and_holds_its_content(
    request: tuple[list[Partition], dict[str, int]], extra: int | None
) -> None:
    partitions, contents = request
    disk_size = None if extra is None else layout(partitions, contents).size + extra // 512 * 512
    planned = layout(partitions, contents, disk_size)
    if disk_size is not None:
        assert planned.size == disk_size
    end = ALIGNMENT
    for part in planned.partitions:
        assert part.offset % ALIGNMENT == part.size % ALIGNMENT == 0
        assert part.offset >= end
        assert part.size >= contents[part.label]
        end = part.end
    assert end <= planned.size - BACKUP_TABLE
    assert len({part.uuid for part in planned.partitions}) == len(partitions)


@given(request=requests(), shortage=st.integers(0, 9 * GIB), more=st.integers(0, GIB))
def test_a_larger_disk_never_makes_a_partition_smaller(
    request: tuple[list[Partition], dict[str, int]], shortage: int, more: int
) -> None:
    partitions, contents = request
    size = max(layout(partitions, contents).size - shortage, MIB)
    try:
        smaller = layout(partitions, contents, size)
    except DiskTooSmallError:
        return
    larger = layout(partitions, contents, size + more)
    for before, after in zip(smaller.partitions[:-1], larger.partitions[:-1], strict=True):
        assert after.size >= before.size
    assert larger.partitions[-1].end >= smaller.partitions[-1].end


@given(request=requests())
def test_the_size_that_an_error_asks_for_is_enough_and_not_too_much(
    request: tuple[list[Partition], dict[str, int]],
) -> None:
    partitions, contents = request
    with pytest.raises(DiskTooSmallError) as raised:
        layout(partitions, contents, 2 * MIB)
    asked = (raised.value.hint or "").split()[3]
    number, unit = int(asked[:-3]), asked[-3:]
    needed = number * {"MiB": MIB, "GiB": GIB}[unit]
    assert layout(partitions, contents, needed).size == needed
    with pytest.raises(DiskTooSmallError):
        layout(partitions, contents, needed - MIB)
