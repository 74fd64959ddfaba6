"""SPEC section 14: the form of audit records, one closed table a kind. Members by their type alone."""

import re
from typing import Any

from . import encoding
from .members import (
    Member,
    array,
    check_object,
    integer,
    is_digest,
    is_flag,
    is_object,
    is_text,
    is_time,
    one_of,
)
from .spiffe import is_agent_id

_REASON = re.compile(r"[a-z][a-z0-9_]*")

def _is_reason(value: Any) -> bool:
    return type(value) is str and _REASON.fullmatch(value) is not None


def _is_digest_or_empty(value: Any) -> bool:
    return value == "" or is_digest(value)


def _is_stages(value: Any) -> bool:
    return type(value) is dict and all(_count(entry) for entry in value.values())


def _is_version(value: Any) -> bool:
    return type(value) is int and value == 1


def _entries(members: list[Member]) -> Any:
    """An array of closed objects; every fault in a record has the one reason, so that none has to be told apart."""
    return array(lambda value: is_object(value) and check_object(value, members))


_count = integer(0)
_direction = one_of("inbound", "outbound")
_texts = array(is_text)
_sources = _entries([Member("source", is_text), Member("reason", _is_reason), Member("count", _count)])
_agents = _entries([Member("id", is_text), Member("link", is_text)])
_approvals = _entries([Member("approver", is_text), Member("id", is_text)])
_content = _entries([Member("action", is_text), Member("pattern", is_text), Member("rule", is_text)])
_opa = _entries([Member("id", is_text), Member("point", is_text)])
_operations = _entries([Member("method", is_text), Member("name", is_text)])
_shadow = _entries([Member("effect", is_text), Member("rule", is_text)])
_tools = _entries([Member("change", is_text), Member("digest", is_text), Member("name", is_text)])

_COMMON = [
    Member("v", _is_version),
    Member("kind", is_text),
    Member("log", is_text),
    Member("seq", integer(1)),
    Member("prev", is_text),
    Member("time", _count),
    Member("sidecar", is_agent_id),
]
_KINDS: dict[str, list[Member]] = {
    "start": [Member("version", is_text), Member("policy", is_text), Member("bundle", is_text)],
    "decision": [
        Member("hop", is_text),
        Member("direction", _direction),
        Member("verdict", one_of("permit", "deny")),
        Member("reason", _is_reason),
        Member("rule", is_text),
        Member("caller", is_text),
        Member("callee", is_text),
        Member("destination", is_text, optional=True),
        Member("principal", is_text),
        Member("task", is_text),
        Member("method", is_text),
        Member("target", is_text),
        Member("required", _texts),
        Member("granted", _texts),
        Member("agents", _agents),
        Member("approvals", _approvals, optional=True),
        Member("content", _content, optional=True),
        Member("flags", _texts, optional=True),
        Member("labels", _texts, optional=True),
        Member("observed", _is_reason, optional=True),
        Member("opa", _opa, optional=True),
        Member("proof", one_of("request", "both", "none"), optional=True),
        Member("operations", _operations, optional=True),
        Member("shadow", _shadow, optional=True),
        Member("policy", is_text),
        Member("bundle", is_text),
        Member("cached", is_flag),
        Member("us", _is_stages),
    ],
    "outcome": [
        Member("hop", is_text),
        Member("direction", _direction),
        Member("status", integer(0, 999)),
        Member("result", _is_reason),
        Member("sent", _count),
        Member("received", _count),
        Member("us", _count),
        Member("content", _content, optional=True),
        Member("labels", _texts, optional=True),
        Member("tools", _tools, optional=True),
    ],
    "refusals": [Member("from", _count), Member("to", _count), Member("sources", _sources)],
    "quarantine": [
        Member("action", _is_reason),
        *(
            Member(name, is_text)
            for name in (
                "by", "callee", "caller", "hop", "id", "key", "method", "principal", "reason", "rule", "target", "task"
            )
        ),
    ],
    "checkpoint": [Member("proof", is_text), Member("wit", is_text)],
    "stop": [Member("reason", is_text)],
}
PROOF_MEMBERS = [
    Member("log", is_text),
    Member("sub", is_agent_id),
    Member("seq", integer(1)),
    Member("prev", _is_digest_or_empty),
    Member("pred", _is_digest_or_empty),
    Member("iat", is_time),
]


def check_record(value: Any) -> bool:
    """A record without its `hash`, of a known kind."""
    kind = value.get("kind") if type(value) is dict else None
    further = _KINDS.get(kind, []) if type(kind) is str else []
    return bool(further) and check_object(value, [*_COMMON, *further])


def parse_checkpoint(text: str) -> encoding.Jws:
    """Parse faults of a checkpoint proof."""
    jws = encoding.parse_jws(text, encoding.CHECKPOINT)
    check_object(jws.payload, PROOF_MEMBERS)
    return jws
