"""SPEC section 9: trust scores, a function of the last evidence and of time."""

import math
from typing import Any, NamedTuple

from .fault import Fault
from .members import Member, check_object, integer, is_object, is_time
from .spiffe import is_agent_id

MEMBERS = [
    Member("baseline", integer(0, 1000)),
    Member("half_life", integer(60, 31_536_000)),
    Member("agents", is_object),
]
_ENTRY = [integer(0, 1000), is_time, integer(0, 1_000_000)]


class Score(NamedTuple):
    """0-1000, and half the width of its range."""

    score: int
    uncertainty: int


def check_scores(value: dict[str, Any]) -> None:
    """The form of the member `scores` of a bundle."""
    check_object(value, MEMBERS)
    for agent, entry in value["agents"].items():
        if not is_agent_id(agent) or type(entry) is not list or len(entry) != 3:
            raise Fault("claim_invalid")
        if not all(check(number) for check, number in zip(_ENTRY, entry)):
            raise Fault("claim_invalid")


def _nearest(number: float) -> int:
    """The nearest integer, a half upward."""
    whole = math.floor(number)
    return whole + (number - whole >= 0.5)


def score_of(scores: dict[str, Any] | None, agent: str, now: int) -> Score:
    """Without scores everybody has 0; an agent of which nothing is known has the baseline."""
    baseline = scores["baseline"] if scores else 0
    entry = scores["agents"].get(agent) if scores else None
    if scores is None or entry is None:
        return Score(baseline, 500)
    score, at, weight = entry
    left = 2.0 ** (-max(0, now - at) / scores["half_life"])
    return Score(_nearest(baseline + (score - baseline) * left), _nearest(500 / math.sqrt(1 + weight * left)))
