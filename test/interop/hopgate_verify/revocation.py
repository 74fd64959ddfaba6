"""SPEC section 9: revocations, and whether one of them strikes a chain."""

from typing import Any

from .fault import Fault
from .link import Link
from .members import URN_THUMBPRINT, Member, check_object, is_digest, is_principal, is_time
from .spiffe import is_agent_id

_FORMS = [
    [Member("link", is_digest)],
    [Member("link", is_digest), Member("parent", is_digest), Member("delegatee", is_agent_id)],
    [Member("key", is_digest)],
    [Member("agent", is_agent_id)],
    [Member("task", is_digest), Member("principal", is_principal)],
    [Member("principal", is_principal), Member("before", is_time)],
]
_NAMES = {member.name for form in _FORMS for member in form}


def is_revocation(value: Any) -> bool:
    """One of the six forms. A member of none of them is unknown; a mixture is invalid."""
    if type(value) is not dict:
        raise Fault("claim_invalid")
    if value.keys() - _NAMES:
        raise Fault("claim_unknown")
    for form in _FORMS:
        if value.keys() == {member.name for member in form}:
            return check_object(value, form)
    raise Fault("claim_invalid")


def _strikes_link(entry: dict[str, Any], link: Link) -> bool:
    if entry["link"] == link.id:
        return True
    return "parent" in entry and (
        entry["parent"] == link.claims.get("par_hash") and entry["delegatee"] == link.delegatee
    )


def _strikes(reason: str, entry: dict[str, Any], links: list[Link]) -> bool:
    """Whether `entry` revokes for `reason`. The signer of L0 counts as a position of the chain for keys."""
    root = links[0].claims
    task = root.get("task", links[0].id)
    if reason == "revoked_link":
        return "link" in entry and any(_strikes_link(entry, link) for link in links)
    if reason == "revoked_key":
        keys = {root["iss"].removeprefix(URN_THUMBPRINT), *(link.jkt for link in links)}
        return entry.get("key") in keys
    if reason == "revoked_agent":
        return "agent" in entry and any(entry["agent"] == link.delegatee for link in links)
    if entry.get("principal") != root["sub"]:
        return False
    if reason == "revoked_task":
        return entry.get("task") == task
    return "before" in entry and root["iat"] < entry["before"]


REASONS = ("revoked_link", "revoked_key", "revoked_agent", "revoked_task", "revoked_principal")


def check_revoked(revoked: list[dict[str, Any]], links: list[Link]) -> None:
    """`links` are those of the chain, and the grant behind them if there is one."""
    for reason in REASONS:
        if any(_strikes(reason, entry, links) for entry in revoked):
            raise Fault(reason)
