"""SPEC section 9: the trust bundle and the roles document inside it."""

import hashlib
from typing import Any, NamedTuple

from . import encoding, scope
from .encoding import b64u_encode, is_b64u
from .fault import Fault
from .keys import Issuers, admit, key_octets, thumbprint, verifies
from .members import (
    MAX_TIME,
    Member,
    array,
    check_jwk,
    check_object,
    integer,
    is_flag,
    is_list,
    is_object,
    is_principal,
    is_text,
    is_time,
    one_of,
)
from .revocation import is_revocation
from .spiffe import is_id_pattern, is_trust_domain

SKEW = 30


def _is_anchor_principal(value: Any) -> bool:
    return value == "*" or is_principal(value)


_ANCHOR = [
    Member("kind", one_of("principal", "root-issuer")),
    Member("jwk", is_object),
    Member("principals", array(_is_anchor_principal, 1, 10_000, distinct=True)),
    Member("human", is_flag),
    Member("delegatees", array(is_id_pattern, 1, 256, distinct=True)),
    Member("domains", array(is_trust_domain, 1, 64, distinct=True)),
    Member("scope", is_list),
    Member("max_ttl", integer(1, MAX_TIME)),
    Member("max_depth", integer(1, 8)),
]
_DOMAIN = [Member("x509", is_list), Member("issuers", is_list)]


def _check_keys(jwks: list[Any], low: int, high: int) -> None:
    if not low <= len(jwks) <= high:
        raise Fault("claim_invalid")
    for jwk in jwks:
        _check_inner(jwk)
        check_jwk(jwk)


def _check_inner(value: Any) -> None:
    if not is_object(value):
        raise Fault("claim_invalid")


def _check_anchor(value: Any) -> None:
    """Members, key, scope; only a root issuer has `*`, and then as its only principal."""
    _check_inner(value)
    check_object(value, _ANCHOR)
    check_jwk(value["jwk"])
    scope.check_list(value["scope"])
    if "*" in value["principals"] and (value["kind"] != "root-issuer" or len(value["principals"]) > 1):
        raise Fault("claim_invalid")


def _check_domains(domains: dict[str, Any]) -> None:
    for name, entry in domains.items():
        if not is_trust_domain(name):
            raise Fault("claim_invalid")
        _check_inner(entry)
        check_object(entry, _DOMAIN)
        if not all(is_b64u(der) for der in entry["x509"]):
            raise Fault("claim_invalid")
        _check_keys(entry["issuers"], 0, 8)


def _check_contents(claims: dict[str, Any]) -> None:
    """`domains`, `anchors` and `revoked`, entry by entry. Two anchors with one key would be two ceilings for it."""
    _check_domains(claims["domains"])
    keys: set[str] = set()
    for anchor in claims["anchors"]:
        _check_anchor(anchor)
        if anchor["jwk"]["x"] in keys:
            raise Fault("claim_invalid")
        keys.add(anchor["jwk"]["x"])
    for entry in claims["revoked"]:
        is_revocation(entry)


ROLES_MEMBERS = [
    Member("trust_domain", is_text),
    Member("epoch", integer(1)),
    Member("iat", is_time),
    Member("exp", is_time),
    Member("root", is_object),
    Member("policy", is_list),
]
BUNDLE_MEMBERS = [
    Member("trust_domain", is_text),
    Member("epoch", integer(1)),
    Member("seq", integer(1)),
    Member("iat", is_time),
    Member("exp", is_time),
    Member("roles", is_text),
    Member("domains", is_object),
    Member("anchors", is_list),
    Member("revoked", is_list),
]


class Bundle(NamedTuple):
    """An accepted bundle."""

    epoch: int
    seq: int
    exp: int
    issuers: Issuers
    anchors: list[dict[str, Any]]
    revoked: list[dict[str, Any]]


class Last(NamedTuple):
    """The last bundle that was accepted. Without a digest any of its number will do."""

    epoch: int
    seq: int
    digest: str | None


def parse_roles(text: str) -> encoding.Jws:
    """Parse faults of the roles document."""
    jws = encoding.parse_jws(text, encoding.ROLES)
    check_object(jws.payload, ROLES_MEMBERS)
    check_jwk(jws.payload["root"])
    _check_keys(jws.payload["policy"], 1, 4)
    return jws


def parse_bundle(text: str) -> tuple[encoding.Jws, encoding.Jws]:
    """Parse faults of the bundle and of the roles in it: the two documents."""
    jws = encoding.parse_jws(text, encoding.BUNDLE)
    check_object(jws.payload, BUNDLE_MEMBERS)
    roles = parse_roles(jws.payload["roles"])
    _check_contents(jws.payload)
    return jws, roles


def _find_key(jwks: list[dict[str, Any]], kid: str | None) -> bytes | None:
    return next((key_octets(jwk) for jwk in jwks if thumbprint(jwk) == kid), None)


def _is_outside(claims: dict[str, Any], now: int) -> bool:
    return now >= claims["exp"] + SKEW or claims["iat"] > now + SKEW


def _check_rollback(claims: dict[str, Any], text: str, last: Last) -> None:
    """Lower than the last one, or another one under its number."""
    order = (claims["epoch"], claims["seq"])
    if order < (last.epoch, last.seq):
        raise Fault("bundle_rollback")
    digest = b64u_encode(hashlib.sha256(text.encode("ascii")).digest())
    if order == (last.epoch, last.seq) and last.digest not in (None, digest):
        raise Fault("bundle_rollback")


def _admit_rest(roles: dict[str, Any], claims: dict[str, Any]) -> None:
    jwks = [*roles["policy"]]
    for entry in claims["domains"].values():
        jwks.extend(entry["issuers"])
    jwks.extend(anchor["jwk"] for anchor in claims["anchors"])
    for jwk in jwks:
        admit(key_octets(jwk))


def verify_bundle(text: str, trust_domain: str, root: str, last: Last, now: int) -> Bundle:
    """The refusals of section 9, in its order. `root` is the thumbprint that the sidecar is configured with."""
    jws, roles_jws = parse_bundle(text)
    claims, roles = jws.payload, roles_jws.payload
    if claims["trust_domain"] != trust_domain or roles["trust_domain"] != trust_domain:
        raise Fault("bundle_domain")
    signer = _find_key(roles["policy"], jws.kid)
    if roles_jws.kid != root or thumbprint(roles["root"]) != root:
        raise Fault("bundle_signer")
    if signer is None or roles["epoch"] != claims["epoch"]:
        raise Fault("bundle_signer")
    for key, signed in ((key_octets(roles["root"]), roles_jws), (signer, jws)):
        admit(key)
        if not verifies(key, signed.signature, signed.signing_input):
            raise Fault("bundle_signature")
    if _is_outside(claims, now) or _is_outside(roles, now):
        raise Fault("bundle_expired")
    _check_rollback(claims, text, last)
    _admit_rest(roles, claims)
    issuers = Issuers({domain: entry["issuers"] for domain, entry in claims["domains"].items()})
    exp = min(claims["exp"], roles["exp"])
    return Bundle(claims["epoch"], claims["seq"], exp, issuers, claims["anchors"], claims["revoked"])
