"""SPEC sections 2, 6 and 7.1: the form of one link, before anything about it is believed."""

import hashlib
import unicodedata
from typing import Any, NamedTuple

from . import caveats, encoding, scope
from .keys import key_octets, thumbprint
from .members import (
    ACT,
    Member,
    check_cnf,
    check_object,
    integer,
    is_digest,
    is_domains,
    is_jti,
    is_list,
    is_object,
    is_principal,
    is_text,
    is_time,
    is_urn_thumbprint,
)
from .encoding import b64u_encode, is_b64u
from .fault import Fault

MAX_CHAIN_OCTETS = 8192
MAX_LINKS = 16


def _is_true(value: Any) -> bool:
    return value is True


def _is_signature(value: Any) -> bool:
    return is_b64u(value, 64)


def _is_purpose(value: Any) -> bool:
    """1-256 characters, none of Unicode category Cc, Cf, Zl or Zp."""
    if type(value) is not str or not 1 <= len(value) <= 256:
        return False
    return not any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in value)


def _is_any(value: Any) -> bool:
    """For `caveats`, whose faults have a reason of their own."""
    return True


_ORIG = [
    Member("iss", is_text),
    Member("sub", is_text),
    Member("auth_time", is_time),
    Member("token_hash", is_text),
    Member("acr", is_text, optional=True),
]
_KEY_BINDING = [Member("exp", is_time), Member("kid", is_digest), Member("sig", _is_signature)]

_COMMON = [
    Member("act", is_object),
    Member("cnf", is_object),
    Member("aud", is_domains),
    Member("jti", is_jti),
    Member("iat", is_time),
    Member("exp", is_time),
    Member("scope", is_list),
    Member("max_depth", integer(1, 8)),
    Member("caveats", _is_any, optional=True),
    Member("purpose", _is_purpose, optional=True),
]
ROOT_MEMBERS = [
    Member("iss", is_urn_thumbprint),
    Member("sub", is_principal),
    Member("orig", is_object, optional=True),
    Member("task", is_digest, optional=True),
    Member("task_start", is_time, optional=True),
    *_COMMON,
]
FURTHER_MEMBERS = [
    Member("par_hash", is_digest),
    Member("kb", is_object),
    Member("rebind", _is_true, optional=True),
    *_COMMON,
]


class Link(NamedTuple):
    """A link whose form is right."""

    id: str
    jws: encoding.Jws
    claims: dict[str, Any]

    @property
    def delegatee(self) -> str:
        """The agent ID that this link empowers."""
        return self.claims["act"]["sub"]

    @property
    def jkt(self) -> str:
        """The thumbprint of the delegatee's key."""
        return thumbprint(self.claims["cnf"]["jwk"])

    @property
    def key(self) -> bytes:
        """The delegatee's key."""
        return key_octets(self.claims["cnf"]["jwk"])

    @property
    def is_rebind(self) -> bool:
        """Whether the link carries the rebind mark."""
        return "rebind" in self.claims

    @property
    def caveats(self) -> list[dict[str, Any]]:
        """The caveats, none if the member is absent."""
        return self.claims.get("caveats", [])


def parse_link(text: str, is_root: bool) -> Link:
    """Step 2 of section 7.2 for one link: parse, members, scope, caveats."""
    jws = encoding.parse_jws(text, encoding.LINK)
    claims = jws.payload
    check_object(claims, ROOT_MEMBERS if is_root else FURTHER_MEMBERS)
    check_object(claims["act"], ACT)
    check_cnf(claims["cnf"])
    if claims["iat"] >= claims["exp"]:
        raise Fault("claim_invalid")
    scope.check_list(claims["scope"])
    if "caveats" in claims:
        caveats.check_list(claims["caveats"])
    if "orig" in claims:
        check_object(claims["orig"], _ORIG)
    if ("task" in claims) != ("task_start" in claims) or claims.get("task_start", 0) > claims["iat"]:
        raise Fault("claim_invalid")
    if not is_root:
        check_object(claims["kb"], _KEY_BINDING)
    return Link(b64u_encode(hashlib.sha256(jws.signing_input).digest()), jws, claims)


def parse_any_link(text: str) -> Link:
    """A link out of its chain: without `par_hash` and `kb` it is read as L0."""
    claims = encoding.parse_jws(text, encoding.LINK).payload
    return parse_link(text, is_root="par_hash" not in claims and "kb" not in claims)


def parse_chain(text: str) -> list[Link]:
    """Steps 1 and 2 of section 7.2."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_CHAIN_OCTETS:
        raise Fault("chain_too_large")
    if not text:
        raise Fault("chain_missing")
    parts = text.split("~")
    if len(parts) > MAX_LINKS:
        raise Fault("chain_too_many_links")
    return [parse_link(part, is_root=index == 0) for index, part in enumerate(parts)]
