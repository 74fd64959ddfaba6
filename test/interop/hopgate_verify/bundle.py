"""SPEC section 9: the trust bundle and the roles document inside it."""

from typing import Any, NamedTuple

from . import encoding
from .encoding import is_b64u
from .fault import Fault
from .keys import Issuers, admit, key_octets, thumbprint, verifies
from .members import (
    Member,
    array,
    check_object,
    integer,
    is_flag,
    is_jwk,
    is_principal,
    is_text,
    is_time,
    one_of,
)
from .revocation import is_revocation
from .scope import is_scope_list
from .spiffe import is_id_pattern, is_trust_domain

SKEW = 30


def _is_anchor_principal(value: Any) -> bool:
    return value == "*" or is_principal(value)


_ANCHOR = [
    Member("kind", one_of("principal", "root-issuer")),
    Member("jwk", is_jwk),
    Member("principals", array(_is_anchor_principal, 1, distinct=True)),
    Member("human", is_flag),
    Member("delegatees", array(is_id_pattern, 1, distinct=True)),
    Member("domains", array(is_trust_domain, 1, distinct=True)),
    Member("scope", is_scope_list),
    Member("max_ttl", integer(1)),
    Member("max_depth", integer(1, 8)),
]


def _is_anchor(value: Any) -> bool:
    """An anchor; only a root issuer has `*`, and then as its only principal."""
    check_object(value, _ANCHOR)
    return "*" not in value["principals"] or (value["kind"] == "root-issuer" and value["principals"] == ["*"])


_DOMAIN = [Member("x509", array(is_b64u)), Member("issuers", array(is_jwk))]


def _is_domains(value: Any) -> bool:
    if type(value) is not dict or not all(is_trust_domain(name) for name in value):
        return False
    return all(check_object(entry, _DOMAIN) for entry in value.values())


ROLES_MEMBERS = [
    Member("trust_domain", is_trust_domain),
    Member("epoch", integer(1)),
    Member("iat", is_time),
    Member("exp", is_time),
    Member("root", is_jwk),
    Member("policy", array(is_jwk, 1, 4)),
]
BUNDLE_MEMBERS = [
    Member("trust_domain", is_trust_domain),
    Member("epoch", integer(1)),
    Member("seq", integer(1)),
    Member("iat", is_time),
    Member("exp", is_time),
    Member("roles", is_text),
    Member("domains", _is_domains),
    Member("anchors", array(_is_anchor)),
    Member("revoked", array(is_revocation)),
]


class Bundle(NamedTuple):
    """An accepted bundle."""

    epoch: int
    seq: int
    exp: int
    issuers: Issuers
    anchors: list[dict[str, Any]]
    revoked: list[dict[str, Any]]


def parse_roles(text: str) -> encoding.Jws:
    """Parse faults of the roles document."""
    jws = encoding.parse_jws(text, encoding.ROLES)
    check_object(jws.payload, ROLES_MEMBERS)
    return jws


def parse_bundle(text: str) -> encoding.Jws:
    """Parse faults of the bundle itself."""
    jws = encoding.parse_jws(text, encoding.BUNDLE)
    check_object(jws.payload, BUNDLE_MEMBERS)
    return jws


def _find_key(jwks: list[dict[str, Any]], kid: str | None) -> bytes | None:
    return next((key_octets(jwk) for jwk in jwks if thumbprint(jwk) == kid), None)


def _is_outside(claims: dict[str, Any], now: int) -> bool:
    return now >= claims["exp"] + SKEW or claims["iat"] > now + SKEW


def _admit_all(roles: dict[str, Any], claims: dict[str, Any]) -> None:
    jwks = [roles["root"], *roles["policy"]]
    for entry in claims["domains"].values():
        jwks.extend(entry["issuers"])
    jwks.extend(anchor["jwk"] for anchor in claims["anchors"])
    for jwk in jwks:
        admit(key_octets(jwk))


def verify_bundle(text: str, trust_domain: str, root: str, last: tuple[int, int], now: int) -> Bundle:
    """The refusals of section 9, in its order. `root` is the thumbprint that the sidecar is configured with."""
    jws = parse_bundle(text)
    claims = jws.payload
    roles_jws = parse_roles(claims["roles"])
    roles = roles_jws.payload
    if claims["trust_domain"] != trust_domain or roles["trust_domain"] != trust_domain:
        raise Fault("bundle_domain")
    signer = _find_key(roles["policy"], jws.kid)
    if roles_jws.kid != root or thumbprint(roles["root"]) != root:
        raise Fault("bundle_signer")
    if signer is None or roles["epoch"] != claims["epoch"]:
        raise Fault("bundle_signer")
    if not verifies(key_octets(roles["root"]), roles_jws.signature, roles_jws.signing_input):
        raise Fault("bundle_signature")
    if not verifies(signer, jws.signature, jws.signing_input):
        raise Fault("bundle_signature")
    if _is_outside(roles, now) or _is_outside(claims, now):
        raise Fault("bundle_expired")
    if (claims["epoch"], claims["seq"]) < last:
        raise Fault("bundle_rollback")
    _admit_all(roles, claims)
    issuers = Issuers({domain: entry["issuers"] for domain, entry in claims["domains"].items()})
    return Bundle(claims["epoch"], claims["seq"], claims["exp"], issuers, claims["anchors"], claims["revoked"])
