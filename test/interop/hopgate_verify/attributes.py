"""SPEC section 9: attributes of agents and groups of principals."""

import re
from typing import Any

from .fault import Fault
from .members import Member, array, check_object, is_object, is_principal
from .spiffe import is_id_pattern

_NAME = re.compile(r"[a-z][a-zA-Z0-9_-]{0,63}")
_VALUE = re.compile(r"[ -~]{1,256}")
_GROUP = re.compile(r"[!-~]{1,128}")
_MOST = 100_000


def _is_group(value: Any) -> bool:
    return type(value) is str and _GROUP.fullmatch(value) is not None


MEMBERS = [Member("agents", is_object), Member("principals", is_object)]
_PRINCIPAL = [Member("groups", array(_is_group, 1, 64, distinct=True))]


def _is_attribute(name: str, value: Any) -> bool:
    return _NAME.fullmatch(name) is not None and type(value) is str and _VALUE.fullmatch(value) is not None


def check_attributes(value: dict[str, Any]) -> None:
    """The form of the member `attributes` of a bundle."""
    check_object(value, MEMBERS)
    if len(value["agents"]) > _MOST:
        raise Fault("claim_invalid")
    for agent, entry in value["agents"].items():
        if not is_id_pattern(agent) or not is_object(entry) or len(entry) > 32:
            raise Fault("claim_invalid")
        if not all(_is_attribute(name, text) for name, text in entry.items()):
            raise Fault("claim_invalid")
    if len(value["principals"]) > _MOST:
        raise Fault("claim_invalid")
    for principal, entry in value["principals"].items():
        if not is_principal(principal):
            raise Fault("claim_invalid")
        check_object(entry, _PRINCIPAL)


def attributes_of(attributes: dict[str, Any] | None, agent: str) -> dict[str, str]:
    """What is said of the agent itself is all of it; only where nothing is, that of its type."""
    agents = attributes["agents"] if attributes else {}
    pattern = agent[: agent.rindex("/")] + "/*"
    return agents.get(agent, agents.get(pattern, {}))


def groups_of(attributes: dict[str, Any] | None, principal: str) -> list[str]:
    """The groups that a principal is in."""
    entry = attributes["principals"].get(principal) if attributes else None
    return entry["groups"] if entry else []
