"""A sink that remembers what was reported."""

from __future__ import annotations

from image_composer.report import Event


class Recorded:
    """Keeps every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def messages(self, kind: str) -> list[str]:
        return [event.message for event in self.events if event.kind == kind]
