"""SPEC section 2, last paragraph: closed objects. And the checks of single values that several objects share."""

import re
from typing import Any, Callable, NamedTuple

from .encoding import is_b64u
from .fault import Fault
from .spiffe import is_agent_id, is_trust_domain

Check = Callable[[Any], bool]

_JTI = re.compile(r"[A-Za-z0-9_-]{16,64}")
_PRINCIPAL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
MAX_TIME = 253402300799
URN_THUMBPRINT = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:"


class Member(NamedTuple):
    """A row of a member table. `check` says whether the value has its form; what is inside of it is looked at later."""

    name: str
    check: Check
    optional: bool = False


def check_object(value: Any, members: list[Member]) -> bool:
    """All unknown members first, then missing ones, then values in the order of the table."""
    if type(value) is not dict:
        raise Fault("claim_invalid")
    if value.keys() - {member.name for member in members}:
        raise Fault("claim_unknown")
    if any(member.name not in value and not member.optional for member in members):
        raise Fault("claim_missing")
    for member in members:
        if member.name in value and not member.check(value[member.name]):
            raise Fault("claim_invalid")
    return True


def one_of(*values: str) -> Check:
    """One of the given strings."""
    return lambda value: type(value) is str and value in values


def integer(low: int, high: int = 2**53 - 1) -> Check:
    """An integer within bounds (a bool is none)."""
    return lambda value: type(value) is int and low <= value <= high


def array(item: Check, low: int = 0, high: int | None = None, distinct: bool = False) -> Check:
    """An array of low to high items, each in its form; `distinct` for arrays of strings."""

    def check(value: Any) -> bool:
        if type(value) is not list or len(value) < low or (high is not None and len(value) > high):
            return False
        return all(item(entry) for entry in value) and (not distinct or len(set(value)) == len(value))

    return check


def is_text(value: Any) -> bool:
    """Any string."""
    return type(value) is str


def is_flag(value: Any) -> bool:
    """true or false."""
    return type(value) is bool


def is_object(value: Any) -> bool:
    """Any object; what is in it is checked later, with reasons of its own."""
    return type(value) is dict


def is_list(value: Any) -> bool:
    """Any array; what is in it is checked later, with reasons of its own."""
    return type(value) is list


is_time = integer(1, MAX_TIME)


def is_jti(value: Any) -> bool:
    """16-64 of A-Z a-z 0-9 - _ (also the form of no other thing)."""
    return type(value) is str and _JTI.fullmatch(value) is not None


def is_digest(value: Any) -> bool:
    """A link id or a thumbprint: b64u of 32 octets, 43 characters."""
    return is_b64u(value, 32)


def is_urn_thumbprint(value: Any) -> bool:
    """The URN form of a thumbprint (RFC 9278)."""
    return type(value) is str and value.startswith(URN_THUMBPRINT) and is_digest(value[len(URN_THUMBPRINT) :])


def is_principal(value: Any) -> bool:
    """A URI of 3-512 printable ASCII characters, with a scheme (section 3)."""
    return type(value) is str and 3 <= len(value) <= 512 and _PRINCIPAL.fullmatch(value) is not None


def is_text_object(value: Any) -> bool:
    """An object whose values are all strings."""
    return type(value) is dict and all(type(entry) is str for entry in value.values())


JWK = [Member("kty", one_of("OKP")), Member("crv", one_of("Ed25519")), Member("x", is_digest)]
ACT = [Member("sub", is_agent_id)]
CNF = [Member("jwk", is_object)]


def check_jwk(value: Any) -> None:
    """The form of a public key."""
    check_object(value, JWK)


def check_cnf(value: Any) -> None:
    """`{"jwk": ...}`, then the key in it."""
    check_object(value, CNF)
    check_jwk(value["jwk"])


is_domains = array(is_trust_domain, 1, 8, distinct=True)
