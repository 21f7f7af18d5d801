"""Answers that many want at the same time: asked for once, and good for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Recent(Generic[Question, Answer]):
    """Asks each question again only when its last answer is too old; who asks meanwhile waits for the same answer.

    Args:
        ask: gives the answer; what it raises is not remembered.
        good_for: seconds for which an answer is good.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        ask: Callable[[Question], Awaitable[Answer]],
        good_for: Callable[[Answer], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._good_for = good_for
        self._clock = clock
        self._answers: dict[Question, tuple[Answer, float]] = {}
        self._asking: dict[Question, asyncio.Lock] = {}

    async def get(self, question: Question) -> Answer:
        """Give the answer to a question."""
        async with self._asking.setdefault(question, asyncio.Lock()):
            known = self._answers.get(question)
            if known is not None and self._clock() < known[1]:
                return known[0]
            answer = await self._ask(question)
            self._answers[question] = answer, self._clock() + self._good_for(answer)
            return answer
