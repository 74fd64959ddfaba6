"""SPEC section 9: revocations, and whether one of them strikes a chain."""

from typing import Any

from .fault import Fault
from .link import Link
from .members import URN_THUMBPRINT, Member, check_object, is_digest, is_principal, is_time
from .spiffe import is_agent_id


def _is_true(value: Any) -> bool:
    return value is True


_FORMS = [
    [Member("link", is_digest)],
    [Member("link", is_digest), Member("parent", is_digest), Member("delegatee", is_agent_id)],
    [Member("key", is_digest)],
    [Member("key", is_digest), Member("lost", _is_true)],
    [Member("agent", is_agent_id)],
    [Member("task", is_digest), Member("principal", is_principal)],
    [Member("principal", is_principal), Member("before", is_time)],
]


def is_revocation(value: Any) -> bool:
    """One of the seven forms, by exactly its members."""
    if type(value) is not dict:
        raise Fault("claim_invalid")
    for form in _FORMS:
        if value.keys() == {member.name for member in form}:
            return check_object(value, form)
    raise Fault("claim_invalid")


def _has(revoked: list[dict[str, Any]], **members: Any) -> bool:
    """Whether the list has an entry of exactly these members."""
    return members in revoked


def _is_link_barred(revoked: list[dict[str, Any]], link: Link, minters: list[str]) -> bool:
    """The link itself, or a bar on re-making it under its parent or under what the parent was rebound from."""
    barred = {(entry["parent"], entry["delegatee"]) for entry in revoked if "parent" in entry}
    return any(entry.get("link") == link.id for entry in revoked) or any(
        (parent, link.delegatee) in barred for parent in minters
    )


def check_revoked(revoked: list[dict[str, Any]], links: list[Link]) -> None:
    """`links` are those of the chain, and the grant behind them if there is one. In the order of section 9."""
    minters: list[str] = []
    for link in links:
        if _is_link_barred(revoked, link, minters):
            raise Fault("revoked_link")
        minters = [*minters, link.id] if link.is_rebind else [link.id]
        if _has(revoked, agent=link.delegatee):
            raise Fault("revoked_agent")
        if _has(revoked, key=link.jkt):
            raise Fault("revoked_key")
        if _has(revoked, key=link.jkt, lost=True):
            raise Fault("agent_key_lost")
    root = links[0].claims
    anchor = root["iss"].removeprefix(URN_THUMBPRINT)
    if _has(revoked, key=anchor) or _has(revoked, key=anchor, lost=True):
        raise Fault("revoked_key")
    if _has(revoked, task=root.get("task", links[0].id), principal=root["sub"]):
        raise Fault("revoked_task")
    own = [entry["before"] for entry in revoked if entry.get("principal") == root["sub"] and "before" in entry]
    if any(root["iat"] < before for before in own):
        raise Fault("revoked_principal")
