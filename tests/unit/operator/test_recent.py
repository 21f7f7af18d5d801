from __future__ import annotations

import asyncio

import pytest

from image_composer_operator.recent import Recent


class Oracle:
    """Answers with how often it was asked, and can be silent for a while."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.now = 0.0
        self.wrong = False

    async def answer(self, question: str) -> int:
        self.asked.append(question)
        await asyncio.sleep(0)
        if self.wrong:
            raise LookupError(question)
        return len(self.asked)

    def recent(self, seconds: float = 2.0) -> Recent[str, int]:
        return Recent(self.answer, lambda _: seconds, lambda: self.now)


def test_an_answer_is_good_for_a_while() -> None:
    async def run() -> None:
        oracle = Oracle()
        recent = oracle.recent()
        assert [await recent.get("a"), await recent.get("a"), await recent.get("b")] == [1, 1, 2]
        oracle.now = 1.9
        assert await recent.get("a") == 1
        oracle.now = 2.0
        assert await recent.get("a") == 3

    asyncio.run(run())


def test_who_asks_meanwhile_waits_for_the_same_answer() -> None:
    async def run() -> None:
        oracle = Oracle()
        recent = oracle.recent()
        assert await asyncio.gather(*(recent.get("a") for _ in range(50))) == [1] * 50

    asyncio.run(run())


def test_a_failure_is_not_remembered() -> None:
    async def run() -> None:
        oracle = Oracle()
        recent = oracle.recent()
        oracle.wrong = True
        with pytest.raises(LookupError):
            await recent.get("a")
        oracle.wrong = False
        assert await recent.get("a") == 2

    asyncio.run(run())


def test_how_long_an_answer_is_good_can_depend_on_it() -> None:
    async def run() -> None:
        oracle = Oracle()
        recent = Recent(oracle.answer, lambda answer: 10.0 if answer > 1 else 0.0, lambda: oracle.now)
        assert [await recent.get("a"), await recent.get("a"), await recent.get("a")] == [1, 2, 2]

    asyncio.run(run())
