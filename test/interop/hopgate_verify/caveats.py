"""SPEC section 8: the form of caveats, and whether they hold."""

from typing import Any, Callable, NamedTuple

from .approval import parse_link_approval
from .fault import Fault
from .members import Member, array, check_object, integer, is_time
from .scope import is_segment
from .spiffe import is_agent_id, is_id_pattern, matches
from .target import is_canonical_path

def _is_type(value: Any) -> bool:
    return type(value) is str


def _is_approval(value: Any) -> bool:
    return type(value) is str and parse_link_approval(value) is not None


_FORMS: dict[str, list[Member]] = {
    "callee": [Member("ids", array(is_id_pattern, 1, 16, distinct=True))],
    "resource": [Member("paths", array(is_canonical_path, 1, 16, distinct=True))],
    "tool": [Member("names", array(is_segment, 1, 64, distinct=True))],
    "before": [Member("time", is_time)],
    "approval": [Member("token", _is_approval)],
    "max_uses": [Member("uses", integer(1, 1_000_000)), Member("at", is_agent_id)],
}


def check_caveat(value: Any) -> None:
    """Unknown type: caveat_unknown. Anything malformed in a known type: caveat_invalid."""
    if type(value) is not dict or type(value.get("type")) is not str:
        raise Fault("caveat_invalid")
    form = _FORMS.get(value["type"])
    if form is None:
        raise Fault("caveat_unknown")
    try:
        check_object(value, [Member("type", _is_type), *form])
    except Fault:
        raise Fault("caveat_invalid") from None


def check_list(value: Any) -> None:
    """The `caveats` member: an array of 1-16 caveats, read in order."""
    if type(value) is not list or not 1 <= len(value) <= 16:
        raise Fault("caveat_invalid")
    for caveat in value:
        check_caveat(caveat)


class Hop(NamedTuple):
    """What the caveats are held against. `uses` are those made so far of the caveat at this index; `is_upkeep` is said of
    what keeps a session going and calls nothing, of which the caveat `tool` says nothing (section 13)."""

    now: int
    callee: str
    path: str
    tool: str | None
    uses: Callable[[int], int]
    is_upkeep: bool = False


def _below(base: str, path: str) -> bool:
    """Equal, or below it segment by segment."""
    return path == base or path.startswith(base if base.endswith("/") else base + "/")


def _fits(caveat: dict[str, Any], hop: Hop) -> bool:
    """What depends on the request alone."""
    kind = caveat["type"]
    if kind == "callee":
        return any(matches(pattern, hop.callee) for pattern in caveat["ids"])
    if kind == "resource":
        return any(_below(path, hop.path) for path in caveat["paths"])
    if kind == "tool":
        return hop.is_upkeep or (hop.tool is not None and hop.tool in caveat["names"])
    if kind == "max_uses":
        return hop.callee == caveat["at"]
    if kind == "approval":
        raise Fault("approval_invalid")  # only who knows the approvers can say that it holds
    return kind == "before"


def check_all_hold(caveats: list[dict[str, Any]], hop: Hop) -> None:
    """All must hold: those about the request in array order, then every `before`, then the counts."""
    for caveat in caveats:
        if not _fits(caveat, hop):
            raise Fault("caveat_" + caveat["type"])
    if any(caveat["type"] == "before" and hop.now >= caveat["time"] for caveat in caveats):
        raise Fault("caveat_before")
    for index, caveat in enumerate(caveats):
        if caveat["type"] == "max_uses" and hop.uses(index) >= caveat["uses"]:
            raise Fault("caveat_max_uses")
