"""SPEC section 6: the WIT."""

import re
from typing import Any, NamedTuple

from . import encoding
from .fault import Fault
from .keys import Issuers, admit, key_octets, thumbprint, verifies
from .members import CNF, Member, check_object, is_jti, is_jwk, is_text_object, is_time, nested
from .spiffe import is_agent_id, is_trust_domain, trust_domain_of

SKEW = 30
_ISSUER = re.compile(r"spiffe://([^/]*)")


def _is_issuer(value: Any) -> bool:
    found = _ISSUER.fullmatch(value) if type(value) is str else None
    return found is not None and is_trust_domain(found.group(1))


MEMBERS = [
    Member("iss", _is_issuer),
    Member("sub", is_agent_id),
    Member("iat", is_time),
    Member("exp", is_time),
    Member("jti", is_jti),
    Member("cnf", nested(CNF)),
    Member("audit_jwk", is_jwk, optional=True),
    Member("attested", is_text_object, optional=True),
]


class Wit(NamedTuple):
    """A verified WIT."""

    sub: str
    jkt: str
    key: bytes
    exp: int
    audit_jwk: dict[str, Any] | None


def parse_wit(text: str) -> encoding.Jws:
    """Parse faults only."""
    jws = encoding.parse_jws(text, encoding.WIT)
    check_object(jws.payload, MEMBERS)
    return jws


def verify_wit(text: str, issuers: Issuers, now: int) -> Wit:
    """The refusals of section 6, in its order."""
    jws = parse_wit(text)
    claims = jws.payload
    domain = trust_domain_of(claims["sub"])
    issuer = issuers.find(domain, jws.kid)
    if claims["iss"] != f"spiffe://{domain}" or issuer is None:
        raise Fault("wit_issuer_unknown")
    if now >= claims["exp"] + SKEW:
        raise Fault("wit_expired")
    if claims["iat"] > now + SKEW:
        raise Fault("wit_not_yet_valid")
    if not verifies(issuer, jws.signature, jws.signing_input):
        raise Fault("wit_signature")
    jwk, audit_jwk = claims["cnf"]["jwk"], claims.get("audit_jwk")
    admit(key_octets(jwk))
    if audit_jwk is not None:
        admit(key_octets(audit_jwk))
    return Wit(claims["sub"], thumbprint(jwk), key_octets(jwk), claims["exp"], audit_jwk)
