"""SPEC section 6: the WIT."""

from typing import Any, NamedTuple

from . import encoding
from .fault import Fault
from .keys import Issuers, admit, key_octets, thumbprint, verifies
from .members import Member, check_cnf, check_jwk, check_object, is_jti, is_object, is_text, is_text_object, is_time
from .spiffe import is_agent_id, trust_domain_of

SKEW = 30

MEMBERS = [
    Member("iss", is_text),
    Member("sub", is_agent_id),
    Member("iat", is_time),
    Member("exp", is_time),
    Member("jti", is_jti),
    Member("cnf", is_object),
    Member("audit_jwk", is_object, optional=True),
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
    check_cnf(jws.payload["cnf"])
    if "audit_jwk" in jws.payload:
        check_jwk(jws.payload["audit_jwk"])
    return jws


def verify_wit(text: str, issuers: Issuers, now: int) -> Wit:
    """The refusals of section 6, in its order. The audit key is admitted by the checkpoint that it signs."""
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
    return Wit(claims["sub"], thumbprint(jwk), key_octets(jwk), claims["exp"], audit_jwk)
