"""Whole numbers rounded to steps, which layouts and file formats are full of."""

from __future__ import annotations


def divide_up(number: int, step: int) -> int:
    """Give how many steps hold a number."""
    return -(-number // step)


def round_up(number: int, step: int) -> int:
    """Give the next multiple of a step that is not below a number."""
    return divide_up(number, step) * step


def round_down(number: int, step: int) -> int:
    """Give the last multiple of a step that is not above a number."""
    return number // step * step
