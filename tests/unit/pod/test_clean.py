"""Removing what an ImageBuild has published, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from image_composer.errors import PublishError
from image_composer.pod.clean import Cleaned, clean
from image_composer.publish.patience import Patience
from image_composer.publish.s3_client import opened_client
from image_composer.report import Reporter
from image_composer.spec.document import Placement
from support.s3server import FOLDER, Bucket, Proxy

OURS = "edge/default/edge/"


def cleaned(bucket: Bucket, name: str = "edge", patience: float = 1) -> Cleaned:
    place = bucket.place
    with opened_client(place, bucket.settings()) as client:
        return clean(client, Placement(place, "default", name), Patience(place, patience, Reporter()))


def test_everything_of_an_image_build_is_removed_and_nothing_else(bucket: Bucket) -> None:
    foreign = [
        f"{OURS}notes.txt",
        f"{OURS}other-prefix/name/1.0-0123456789ab/edge.raw",
        "edge/default/edge-2/1.0-0123456789ab/result.json",
        "edge/other/edge/1.0-0123456789ab/result.json",
        "result.json",
    ]
    for key in (f"{FOLDER}result.json", f"{FOLDER}logs/pod-1.log", f"{OURS}2.0-a-ba9876543210/edge.raw", *foreign):
        bucket.put(key)
    bucket.begin(f"{FOLDER}edge.raw")
    bucket.begin("edge/default/edge-2/1.0-0123456789ab/edge.raw")
    assert cleaned(bucket) == Cleaned(objects=3, uploads=1, foreign=2)
    assert bucket.listing() == sorted(foreign)
    assert bucket.unfinished() == ["edge/default/edge-2/1.0-0123456789ab/edge.raw"]
    assert cleaned(bucket) == Cleaned(0, 0, 2)


def test_many_objects_are_removed_page_by_page(bucket: Bucket) -> None:
    folder = bucket.server.objects / bucket.name / FOLDER  # faster than a thousand requests
    folder.mkdir(parents=True)
    for number in range(1101):
        (folder / f"{number:04}.log").write_text("x")
    assert cleaned(bucket).objects == 1101
    assert bucket.listing() == []


def test_nothing_is_there_to_be_removed(bucket: Bucket) -> None:
    assert cleaned(bucket) == Cleaned(0, 0, 0)
    assert cleaned(replace(bucket, name="nobodys")) == Cleaned(0, 0, 0)


def test_a_server_that_removes_one_object_at_a_time_is_cleaned_too(bucket: Bucket) -> None:
    bucket.put(f"{FOLDER}result.json")
    body = "<Error><Code>NotImplemented</Code><Message>no</Message></Error>"
    answer = f"HTTP/1.1 501 Not Implemented\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    refuse = Proxy(
        (bucket.server.address, bucket.server.port), refuse=lambda line: answer if "delete" in line else None
    )
    with refuse as proxy:
        assert cleaned(replace(bucket, endpoint=proxy.endpoint)).objects == 1
    assert bucket.listing() == []


def test_an_object_that_can_not_be_removed_is_an_error(bucket: Bucket) -> None:
    bucket.put(f"{FOLDER}result.json")
    body = (
        "<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code><Message>not yours</Message></Error></DeleteResult>"
    )
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    refuse = Proxy(
        (bucket.server.address, bucket.server.port), refuse=lambda line: answer if "delete" in line else None
    )
    with refuse as proxy, pytest.raises(PublishError) as caught:
        cleaned(replace(bucket, endpoint=proxy.endpoint))
    assert caught.value.code == "PUBLISH_DENIED"
    assert "not yours" in caught.value.message


@pytest.mark.parametrize(("namespace", "name"), [("", "edge"), ("default", "")])
def test_no_bucket_is_ever_emptied_as_a_whole(bucket: Bucket, namespace: str, name: str) -> None:
    with opened_client(bucket.place, bucket.settings()) as client, pytest.raises(ValueError, match="never removed"):
        clean(client, Placement(bucket.place, namespace, name), Patience(bucket.place, 1, Reporter()))
