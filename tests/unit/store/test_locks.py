"""Claims and leases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from image_composer.store.locks import Leases, claim, claimed_at_once


def nothing(_: float) -> None:
    """Go on at once."""


def test_a_name_has_one_holder_at_a_time_though_its_file_comes_and_goes(tmp_path: Path) -> None:
    held: list[int] = []
    most = 0

    def work(number: int) -> None:
        nonlocal most
        for _ in range(200):
            with claim(tmp_path / "name", nothing):
                held.append(number)
                most = max(most, len(held))
                held.remove(number)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, number) for number in range(4)]:
            future.result()
    assert most == 1
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_held_is_not_claimed_at_once(tmp_path: Path) -> None:
    with claim(tmp_path / "name", nothing), claimed_at_once(tmp_path / "name") as claimed:
        assert not claimed
    with claimed_at_once(tmp_path / "name") as claimed:
        assert claimed


def test_waits_grow_to_a_bound(tmp_path: Path) -> None:
    waits: list[float] = []

    class EnoughError(Exception):
        pass

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 9:
            raise EnoughError

    with claim(tmp_path / "name", nothing), pytest.raises(EnoughError), claim(tmp_path / "name", wait):
        pass
    assert waits == [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.05, 0.05, 0.05]


def test_who_closes_sees_what_the_others_lease_and_ends_its_own(tmp_path: Path) -> None:
    one, two = Leases(tmp_path), Leases(tmp_path)
    for name in ("a", "b", "a"):
        one.add(name)
    two.add("c")
    with two.closed() as leased:
        assert leased == {"a", "b"}
    with one.closed() as leased:
        assert leased == set()
    one.add("d")
    with two.closed() as leased:
        assert leased == {"d"}


def test_nobody_leases_while_it_is_closed(tmp_path: Path) -> None:
    one, two = Leases(tmp_path), Leases(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        with two.closed():
            added = pool.submit(one.add, "a")
            with pytest.raises(TimeoutError):
                added.result(timeout=0.05)
        added.result(timeout=10)
