"""What the operator remembers of what it has seen."""

from __future__ import annotations

from typing import Any

from image_composer_operator.index import Index
from support.builds import UID, Body, build, job, pod

KEY = ("images", "edge")


def at(body: Body, version: int) -> Body:
    """Give an object in a version."""
    return {**body, "metadata": {**body["metadata"], "resourceVersion": str(version)}}


def test_children_are_found_by_whose_they_are() -> None:
    index = Index()
    body = build()
    made = job(body)
    assert index.put("imagebuilds", body, "watch") == KEY
    assert index.put("jobs", made, "watch") == KEY
    assert index.put("pods", pod(made), "watch") == KEY
    assert [each.name for each in index.jobs_of(UID)] == [made["metadata"]["name"]]
    assert [each.name for each in index.pods_of(UID)] == ["pod-1"]
    assert index.remove("jobs", made) == KEY
    assert index.jobs_of(UID) == []


def test_an_older_version_does_not_replace_a_newer_one() -> None:
    index = Index()
    index.put("imagebuilds", at(build(generation=2), 200), "answer")
    assert index.put("imagebuilds", at(build(generation=1), 150), "watch") is None
    held = index.build(KEY)
    assert held is not None
    assert held["metadata"]["generation"] == 2


def test_what_an_answer_has_shown_already_is_no_news() -> None:
    index = Index()
    index.put("imagebuilds", at(build(), 200), "answer")
    assert index.put("imagebuilds", at(build(), 200), "watch") is None
    assert not index.behind(at(build(), 200))


def test_a_new_object_of_the_same_name_takes_the_place_of_the_old_one() -> None:
    index = Index()
    index.put("imagebuilds", build(), "watch")
    newer = build(metadata={"uid": "other", "resourceVersion": "300"})
    index.put("imagebuilds", newer, "watch")
    index.remove("imagebuilds", build())  # the news of the old one's end come late
    held = index.build(KEY)
    assert held is not None
    assert held["metadata"]["uid"] == "other"


def test_a_list_tells_what_is_gone_but_not_what_is_newer_than_itself() -> None:
    index = Index()
    index.put("imagebuilds", at(build(), 100), "watch")
    newer: dict[str, Any] = {"name": "newer", "uid": "newer", "resourceVersion": "500"}
    index.put("imagebuilds", build(metadata=newer), "watch")
    assert index.keep_only("imagebuilds", None, set(), "400") == [KEY]
    assert index.build(("images", "newer")) is not None


def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    index = Index()
    index.put("imagebuilds", build(), "watch")
    assert index.keep_only("imagebuilds", "elsewhere", set(), "400") == []
    assert index.build(KEY) is not None


def test_it_keeps_nothing_that_only_server_side_apply_reads() -> None:
    index = Index()
    index.put("imagebuilds", build(metadata={"managedFields": ["much"]}), "watch")
    held = index.build(KEY)
    assert held is not None
    assert "managedFields" not in held["metadata"]
