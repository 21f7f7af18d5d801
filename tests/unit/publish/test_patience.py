"""Waiting for servers."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from image_composer.errors import PublishError
from image_composer.publish.patience import LONGEST_PAUSE, HaltedError, Patience
from image_composer.report import Reporter
from image_composer.spec.destination import S3Destination
from support.events import Recorded

PLACE = S3Destination(bucket="images", endpoint="http://s3.example.org")
DOWN = EndpointConnectionError(endpoint_url="http://s3.example.org", error="refused")


class Waits(threading.Event):
    """Time that passes when it is waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.waited = 0.0, list[float]()

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0)
        self.now += timeout or 0
        return self.is_set()


def patience(seconds: float) -> tuple[Patience, Waits, Recorded]:
    waits, sink = Waits(), Recorded()
    made = Patience(PLACE, seconds, Reporter(sink), clock=lambda: waits.now)
    made.halt = waits
    return made, waits, sink


def failing(times: int, error: Exception = DOWN) -> Callable[[], str]:
    left = [times]

    def request() -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return "here"

    return request


def answered(code: str) -> ClientError:
    # An error as servers send it has fewer fields than the stubs demand.
    return ClientError({"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": 404}}, "Get")  # type: ignore[typeddict-item]


def test_a_server_that_comes_back_is_waited_for_and_both_are_told() -> None:
    made, waits, sink = patience(600)
    assert made.ask(failing(8), "can't upload") == "here"
    assert waits.waited == sorted(waits.waited)
    assert waits.waited[0] < 1
    assert len(sink.messages("warning")) == 1
    assert "trying again for 600 s" in sink.messages("warning")[0]
    assert sink.messages("info") == [f"the server answers again after {waits.now:.0f} s"]


def test_pauses_never_get_long() -> None:
    made, waits, _ = patience(600)
    made.ask(failing(30), "can't upload")
    assert max(waits.waited) == LONGEST_PAUSE


def test_patience_ends_after_its_time() -> None:
    made, waits, _ = patience(60)
    with pytest.raises(PublishError) as caught:
        made.ask(failing(1000), "can't upload")
    assert (caught.value.code, caught.value.retryable) == ("PUBLISH_UNREACHABLE", True)
    assert waits.now == 60


def test_patience_begins_anew_when_the_server_has_answered() -> None:
    made, waits, sink = patience(60)
    for _ in range(3):
        made.ask(failing(12), "can't upload")
    assert waits.now > 60
    assert len(sink.messages("warning")) == 3


def test_what_the_server_refuses_is_not_asked_again() -> None:
    made, waits, _ = patience(60)
    with pytest.raises(PublishError) as caught:
        made.ask(failing(1, answered("AccessDenied")), "can't upload")
    assert caught.value.code == "PUBLISH_DENIED"
    assert waits.waited == []


def test_an_answer_that_is_expected_is_the_caller_s() -> None:
    made, waits, _ = patience(60)
    with pytest.raises(ClientError):
        made.ask(failing(1, answered("NoSuchKey")), "can't look", answers={"NoSuchKey"})
    assert waits.waited == []


def test_nothing_is_asked_after_a_halt() -> None:
    made, waits, _ = patience(60)
    waits.set()
    with pytest.raises(HaltedError):
        made.ask(failing(0), "can't upload")
