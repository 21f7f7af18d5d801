"""Waiting for a server that can't be reached: what was built is not given up for an outage of minutes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from image_composer.errors import PublishError
from image_composer.publish.s3_errors import code_of, explain
from image_composer.report import Reporter
from image_composer.spec.destination import S3Destination

Answer = TypeVar("Answer")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0
"""Seconds between two tries at most: so long a server that is back goes unnoticed."""


class HaltedError(Exception):
    """Others have failed or are interrupted: there is no use in going on."""


class Patience:
    """Makes requests again until the server answers or patience ends. Shared by threads: they wait for one outage."""

    def __init__(
        self, place: S3Destination, seconds: float, reporter: Reporter, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._place, self._seconds, self._reporter, self._clock = place, seconds, reporter, clock
        self._lock = threading.Lock()
        self._failing_since: float | None = None
        self.halt = threading.Event()
        """Set to end all waiting."""

    def ask(self, request: Callable[[], Answer], attempt: str, *, answers: Container[str] = ()) -> Answer:
        """Make a request, again and again while the server can't be reached.

        Args:
            request: makes it; must do no harm when it is made twice.
            attempt: what fails if it fails, for example `can't upload edge.raw`.
            answers: codes of the server that the caller looks at itself, for example `NoSuchKey`.

        Raises:
            PublishError: the server refuses it, or could not be reached for too long.
            ClientError: with one of `answers`.
            HaltedError: `halt` was set.
        """
        while True:
            if self.halt.is_set():
                raise HaltedError
            try:
                answer = request()
            except (BotoCoreError, ClientError, HTTPError, ConnectionError) as error:
                if self.halt.is_set():  # which is what has failed, then
                    raise HaltedError from error
                if code_of(error) in answers:
                    self._reached()
                    raise
                explained = explain(error, attempt, self._place)
                if not explained.retryable:
                    raise explained from error
                pause = self._pause(explained)
                if pause is None:
                    raise explained from error
                if self.halt.wait(pause):
                    raise HaltedError from error
            else:
                self._reached()
                return answer

    def _pause(self, error: PublishError) -> float | None:
        """Give the seconds to wait before the next try; None when there was enough of waiting."""
        now = self._clock()
        with self._lock:
            is_new = self._failing_since is None
            since = self._failing_since = now if self._failing_since is None else self._failing_since
        left = self._seconds - (now - since)
        if left <= 0:
            return None
        if is_new:
            self._reporter.warning(f"{error.message}; trying again for {left:.0f} s")
        return min(left, LONGEST_PAUSE, FIRST_PAUSE + (now - since) / 4)

    def _reached(self) -> None:
        with self._lock:
            since, self._failing_since = self._failing_since, None
        if since is not None:
            self._reporter.info(f"the server answers again after {self._clock() - since:.0f} s")
