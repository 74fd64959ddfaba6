"""SPEC section 14: the form of audit records, one closed table a kind."""

import re
from typing import Any

from . import encoding
from .encoding import is_b64u
from .members import (
    Member,
    array,
    check_object,
    integer,
    is_digest,
    is_flag,
    is_principal,
    is_text,
    is_time,
    nested,
    one_of,
)
from .scope import is_pattern
from .spiffe import is_agent_id

_HOP = re.compile(r"[A-Za-z0-9_-]{22}\.[1-9][0-9]*")
_REASON = re.compile(r"[a-z][a-z0-9_]*")
_BUNDLE = re.compile(r"[1-9][0-9]*\.[1-9][0-9]*")


def _is_log_id(value: Any) -> bool:
    return is_b64u(value, 16)


def _is_hop(value: Any) -> bool:
    return type(value) is str and (value == "" or _HOP.fullmatch(value) is not None)


def _is_reason(value: Any) -> bool:
    return type(value) is str and _REASON.fullmatch(value) is not None


def _is_bundle(value: Any) -> bool:
    return type(value) is str and (value == "" or _BUNDLE.fullmatch(value) is not None)


def _is_digest_or_empty(value: Any) -> bool:
    return value == "" or is_digest(value)


def _is_agent_or_empty(value: Any) -> bool:
    return value == "" or is_agent_id(value)


def _is_principal_or_empty(value: Any) -> bool:
    return value == "" or is_principal(value)


def _is_stages(value: Any) -> bool:
    return type(value) is dict and all(is_time(entry) for entry in value.values())


def _is_status(value: Any) -> bool:
    return type(value) is int and (value == 0 or 100 <= value <= 599)


def _is_version(value: Any) -> bool:
    return type(value) is int and value == 1


_direction = one_of("inbound", "outbound")
_scopes = array(is_pattern, 0, 64)
_source = nested([Member("source", is_text), Member("reason", _is_reason), Member("count", integer(1))])
_agent = nested([Member("id", is_agent_id), Member("link", is_digest)])

_COMMON = [
    Member("v", _is_version),
    Member("kind", is_text),
    Member("log", _is_log_id),
    Member("seq", integer(1)),
    Member("prev", _is_digest_or_empty),
    Member("time", is_time),
    Member("sidecar", is_agent_id),
]
_KINDS: dict[str, list[Member]] = {
    "start": [Member("version", is_text), Member("policy", is_text), Member("bundle", _is_bundle)],
    "decision": [
        Member("hop", _is_hop),
        Member("direction", _direction),
        Member("verdict", one_of("permit", "deny")),
        Member("reason", _is_reason),
        Member("rule", is_text),
        Member("caller", _is_agent_or_empty),
        Member("callee", _is_agent_or_empty),
        Member("principal", _is_principal_or_empty),
        Member("task", _is_digest_or_empty),
        Member("method", is_text),
        Member("target", is_text),
        Member("required", _scopes),
        Member("granted", _scopes),
        Member("agents", array(_agent)),
        Member("policy", is_text),
        Member("bundle", _is_bundle),
        Member("cached", is_flag),
        Member("us", _is_stages),
    ],
    "outcome": [
        Member("hop", _is_hop),
        Member("direction", _direction),
        Member("status", _is_status),
        Member("result", _is_reason),
        Member("sent", is_time),
        Member("received", is_time),
        Member("us", is_time),
    ],
    "refusals": [Member("from", is_time), Member("to", is_time), Member("sources", array(_source))],
    "checkpoint": [Member("proof", is_text), Member("wit", is_text)],
    "stop": [Member("reason", is_text)],
}
PROOF_MEMBERS = [
    Member("log", _is_log_id),
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
