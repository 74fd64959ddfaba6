"""SPEC section 6.2: approvals, of a delegation and of one request."""

import re
from typing import Any, NamedTuple

from . import encoding
from .fault import Fault
from .keys import admit, key_octets, thumbprint, verifies
from .members import Member, array, check_object, is_digest, is_jti, is_principal, is_time
from .scope import is_pattern
from .spiffe import is_agent_id
from .target import check_target

SKEW = 30
MAX_TARGET = 1536

_METHOD = re.compile(r"[A-Z]{1,20}")


def _is_method(value: Any) -> bool:
    return type(value) is str and _METHOD.fullmatch(value) is not None


def _is_target(value: Any) -> bool:
    if type(value) is not str or len(value) > MAX_TARGET:
        return False
    try:
        check_target(value)
    except Fault:
        return False
    return True


_TERMS = [Member("iat", is_time), Member("exp", is_time), Member("jti", is_jti)]
LINK_FACTS = [Member("principal", is_principal), Member("delegatee", is_agent_id), Member("parent", is_digest)]
REQUEST_FACTS = [
    Member("callee", is_agent_id),
    Member("caller", is_agent_id),
    Member("principal", is_principal),
    Member("chain", is_digest),
    Member("method", _is_method),
    Member("target", _is_target),
    Member("body", is_digest),
]
_LINK = [Member("approver", is_principal), *LINK_FACTS, Member("scope", array(is_pattern, 1, 64, distinct=True)), *_TERMS]
_REQUEST = [Member("approver", is_principal), *REQUEST_FACTS, *_TERMS]


class Approver(NamedTuple):
    """One of the bundle's `approvers`. What it signed before `since` was revoked."""

    principal: str
    jwk: dict[str, Any]
    since: int = 0


def parse_link_approval(text: str) -> encoding.Jws:
    """The form alone."""
    jws = encoding.parse_jws(text, encoding.LINK_APPROVAL)
    check_object(jws.payload, _LINK)
    return jws


def parse_request_approval(text: str) -> encoding.Jws:
    """The form alone."""
    jws = encoding.parse_jws(text, encoding.APPROVAL)
    check_object(jws.payload, _REQUEST)
    return jws


def verify_approval(
    jws: encoding.Jws, facts: list[tuple[str, Any]], approvers: list[Approver], agents: list[str], now: int
) -> None:
    """An approval in form, for the facts at hand; `agents`: thumbprints of the agent keys of the chain."""
    claims = jws.payload
    signer = next((known for known in approvers if thumbprint(known.jwk) == jws.kid), None)
    holds = (
        all(claims[name] == value for name, value in facts)
        and jws.kid not in agents
        and claims["approver"] != claims["principal"]
        and signer is not None
        and signer.principal == claims["approver"]
    )
    if not holds or signer is None:
        raise Fault("approval_invalid")
    octets = key_octets(signer.jwk)
    admit(octets)
    if not verifies(octets, jws.signature, jws.signing_input):
        raise Fault("approval_invalid")
    if claims["iat"] < signer.since or now >= claims["exp"] or claims["iat"] > now + SKEW:
        raise Fault("approval_invalid")
