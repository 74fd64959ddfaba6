"""SPEC section 3: SPIFFE IDs, agent IDs and ID patterns."""

import re
from typing import Any, NamedTuple

from .fault import Fault

_TRUST_DOMAIN = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_SCHEME = "spiffe://"


class AgentId(NamedTuple):
    """An agent ID taken apart. `type` is `client` for a client."""

    trust_domain: str
    type: str


def is_trust_domain(value: Any) -> bool:
    """1-255 octets: labels of a-z 0-9 _ - joined by dots, none of them empty."""
    return type(value) is str and len(value) <= 255 and _TRUST_DOMAIN.fullmatch(value) is not None


def parse_agent_id(value: Any) -> AgentId:
    """Takes an agent ID apart; `svid_id` for everything that is none."""
    if type(value) is not str or len(value) > 2048 or not value.startswith(_SCHEME):
        raise Fault("svid_id")
    domain, *path = value[len(_SCHEME) :].split("/")
    if not is_trust_domain(domain) or not all(_SEGMENT.fullmatch(part) and part not in (".", "..") for part in path):
        raise Fault("svid_id")
    if len(path) == 3 and path[0] == "agent" and path[1] != "client":
        return AgentId(domain, path[1])
    if len(path) == 2 and path[0] == "client":
        return AgentId(domain, "client")
    raise Fault("svid_id")


def is_agent_id(value: Any) -> bool:
    """Whether this is an agent ID."""
    try:
        parse_agent_id(value)
    except Fault:
        return False
    return True


def trust_domain_of(agent_id: str) -> str:
    """The trust domain of an ID whose form is already checked."""
    return parse_agent_id(agent_id).trust_domain


def is_id_pattern(value: Any) -> bool:
    """An agent ID, or one whose last segment is `*`."""
    if type(value) is str and value.endswith("/*"):
        return is_agent_id(value[:-1] + "x")
    return is_agent_id(value)


def matches(pattern: str, agent_id: str) -> bool:
    """`*` stands for exactly one segment; both forms are already checked."""
    if not pattern.endswith("/*"):
        return pattern == agent_id
    return agent_id.rpartition("/")[0] == pattern[:-2]
