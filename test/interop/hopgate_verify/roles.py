"""SPEC section 9: the roles document, which says whose keys may do what."""

from typing import Any

from . import encoding
from .encoding import is_b64u
from .fault import Fault
from .keys import admit, key_octets, thumbprint, verifies
from .members import Member, check_jwk, check_object, integer, is_list, is_object, is_text, is_time

SKEW = 30

# Name, fewest and most keys.
KEY_LISTS = [("policy", 1, 4), ("timestamp", 0, 4), ("issuers", 0, 8), ("root_issuers", 0, 4)]
ROLES_MEMBERS = [
    Member("trust_domain", is_text),
    Member("epoch", integer(1)),
    Member("iat", is_time),
    Member("exp", is_time),
    Member("root", is_object),
    *(Member(name, is_list) for name, _, _ in KEY_LISTS),
    Member("x509", is_list),
]


def check_keys(jwks: list[Any], low: int, high: int) -> None:
    """A list of distinct public keys, in form."""
    if not low <= len(jwks) <= high:
        raise Fault("claim_invalid")
    for jwk in jwks:
        if not is_object(jwk):
            raise Fault("claim_invalid")
        check_jwk(jwk)
    if len({jwk["x"] for jwk in jwks}) != len(jwks):
        raise Fault("claim_invalid")


def check_certificates(ders: list[Any]) -> None:
    """Distinct octet strings, none of them empty; whether they are certificates is for the TLS stack to say."""
    if not all(is_b64u(der) and der for der in ders) or len(set(ders)) != len(ders):
        raise Fault("claim_invalid")


def parse_roles(text: str) -> encoding.Jws:
    """Parse faults of the roles document."""
    jws = encoding.parse_jws(text, encoding.ROLES)
    check_object(jws.payload, ROLES_MEMBERS)
    check_jwk(jws.payload["root"])
    for name, low, high in KEY_LISTS:
        check_keys(jws.payload[name], low, high)
    check_certificates(jws.payload["x509"])
    if not 1 <= len(jws.payload["x509"]) <= 8:
        raise Fault("claim_invalid")
    return jws


def role_keys(roles: dict[str, Any]) -> list[str]:
    """Every key that has a role, by its `x`."""
    return [roles["root"]["x"], *(jwk["x"] for name, _, _ in KEY_LISTS for jwk in roles[name])]


def check_signer(jws: encoding.Jws, trust_domain: str, root: str) -> None:
    """That the configured root signed them."""
    roles = jws.payload
    if roles["trust_domain"] != trust_domain:
        raise Fault("bundle_domain")
    if jws.kid != root or thumbprint(roles["root"]) != root:
        raise Fault("bundle_signer")
    key = key_octets(roles["root"])
    admit(key)
    if not verifies(key, jws.signature, jws.signing_input):
        raise Fault("bundle_signature")


def check_separation(roles: dict[str, Any]) -> None:
    """One key, one role."""
    keys = role_keys(roles)
    if len(set(keys)) != len(keys):
        raise Fault("bundle_role")


def check_period(claims: dict[str, Any], now: int) -> None:
    """Not over, and not from the future."""
    if now >= claims["exp"] + SKEW or claims["iat"] > now + SKEW:
        raise Fault("bundle_expired")


def verify_roles(text: str, trust_domain: str, root: str, now: int) -> dict[str, Any]:
    """The roles alone, as one who joins verifies them."""
    jws = parse_roles(text)
    check_signer(jws, trust_domain, root)
    check_separation(jws.payload)
    check_period(jws.payload, now)
    return jws.payload
