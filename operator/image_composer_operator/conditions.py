"""The conditions of an ImageBuild, as kstatus reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from image_composer_operator.reasons import ConditionStatus, ConditionType, Reason
from image_composer_operator.status import Condition


@dataclass(frozen=True, slots=True)
class Standing:
    """How a build stands, in one word and one sentence."""

    reason: Reason
    message: str
    ready: bool = False
    working: bool = False
    """Whether the operator, or the cluster, is still at it: Reconciling."""

    stuck: bool = False
    """Whether nothing will happen before somebody changes something: Stalled."""


def conditions(
    former: Sequence[Condition], standing: Standing, valid: Standing | None, *, generation: int, now: datetime
) -> list[Condition]:
    """Give the conditions that say how a build stands.

    Reconciling and Stalled are there only while they are true; a condition's time changes only with its status.

    Args:
        former: the conditions so far.
        standing: of the build.
        valid: of the spec by itself; as it was when absent.
        generation: of the spec that this is about.
        now: the time of a change.
    """
    times = {(condition.type, condition.status): condition.last_transition_time for condition in former}

    def made(kind: ConditionType, *, holds: bool, said: Standing) -> Condition:
        status = ConditionStatus.TRUE if holds else ConditionStatus.FALSE
        return Condition(
            type=kind,
            status=status,
            reason=said.reason,
            message=said.message,
            last_transition_time=times.get((kind, status), now),
            observed_generation=generation,
        )

    found = [made(ConditionType.READY, holds=standing.ready, said=standing)]
    if standing.working:
        found.append(made(ConditionType.RECONCILING, holds=True, said=standing))
    if standing.stuck:
        found.append(made(ConditionType.STALLED, holds=True, said=standing))
    if valid is not None:
        found.append(made(ConditionType.VALIDATED, holds=valid.ready, said=valid))
    else:
        found += [condition for condition in former if condition.type is ConditionType.VALIDATED]
    return found
