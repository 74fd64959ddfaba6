"""SPEC section 9: the trust bundle."""

import hashlib
from typing import Any, NamedTuple

from . import encoding, scope
from .attributes import check_attributes
from .encoding import b64u_encode
from .fault import Fault
from .keys import Issuers, admit, key_octets, thumbprint, verifies
from .members import (
    MAX_TIME,
    Member,
    array,
    check_jwk,
    check_object,
    integer,
    is_digest,
    is_flag,
    is_list,
    is_object,
    is_principal,
    is_text,
    is_time,
    one_of,
)
from .policy import policy_digest, read_lists, read_policy
from .revocation import is_revocation
from .roles import (
    KEY_LISTS,
    check_certificates,
    check_keys,
    check_period,
    check_separation,
    check_signer,
    parse_roles,
    role_keys,
)
from .scores import check_scores
from .spiffe import is_id_pattern, is_trust_domain


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
_APPROVER = [Member("principal", is_principal), Member("jwk", is_object)]


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
        check_certificates(entry["x509"])
        check_keys(entry["issuers"], 0, 8)


def _check_approvers(approvers: list[Any]) -> None:
    """Two with one key: whose word it is would be anybody's guess."""
    if len(approvers) > 1024:
        raise Fault("claim_invalid")
    keys: set[str] = set()
    for entry in approvers:
        _check_inner(entry)
        check_object(entry, _APPROVER)
        check_jwk(entry["jwk"])
        if entry["jwk"]["x"] in keys:
            raise Fault("claim_invalid")
        keys.add(entry["jwk"]["x"])


def _check_policy(claims: dict[str, Any]) -> None:
    """The policy stands whole in the bundle, and its digest beside it."""
    if ("policy" in claims) != ("policy_digest" in claims):
        raise Fault("claim_invalid")
    if "policy" in claims:
        if claims["policy_digest"] != policy_digest(claims["policy"]):
            raise Fault("claim_invalid")
        read_policy(claims["policy"])


def _check_contents(claims: dict[str, Any]) -> None:
    """What the bundle carries, entry by entry. Two anchors with one key would be two ceilings for it."""
    _check_domains(claims["domains"])
    keys: set[str] = set()
    for anchor in claims["anchors"]:
        _check_anchor(anchor)
        if anchor["jwk"]["x"] in keys:
            raise Fault("claim_invalid")
        keys.add(anchor["jwk"]["x"])
    for entry in claims["revoked"]:
        is_revocation(entry)
    _check_approvers(claims.get("approvers", []))
    _check_policy(claims)
    if "lists" in claims:
        read_lists(claims["lists"])
    if "scores" in claims:
        check_scores(claims["scores"])
    if "attributes" in claims:
        check_attributes(claims["attributes"])


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
    Member("approvers", is_list, optional=True),
    Member("policy", is_object, optional=True),
    Member("policy_digest", is_digest, optional=True),
    Member("lists", is_object, optional=True),
    Member("scores", is_object, optional=True),
    Member("attributes", is_object, optional=True),
]


class Bundle(NamedTuple):
    """An accepted bundle."""

    epoch: int
    seq: int
    digest: str
    exp: int
    issuers: Issuers
    roles: dict[str, Any]
    claims: dict[str, Any]


class Last(NamedTuple):
    """The last bundle that was accepted. Without a digest any of its number will do."""

    epoch: int
    seq: int
    digest: str | None


def parse_bundle(text: str) -> tuple[encoding.Jws, encoding.Jws]:
    """Parse faults of the bundle's own members and of the roles in it: the two documents."""
    jws = encoding.parse_jws(text, encoding.BUNDLE)
    check_object(jws.payload, BUNDLE_MEMBERS)
    return jws, parse_roles(jws.payload["roles"])


def parse_whole_bundle(text: str) -> None:
    """All parse faults, without a look at any signature."""
    jws, _ = parse_bundle(text)
    _check_contents(jws.payload)


def _find_key(jwks: list[dict[str, Any]], kid: str | None) -> bytes | None:
    return next((key_octets(jwk) for jwk in jwks if thumbprint(jwk) == kid), None)


def _digest_of(text: str) -> str:
    return b64u_encode(hashlib.sha256(text.encode("ascii")).digest())


def _check_rollback(claims: dict[str, Any], text: str, last: Last) -> None:
    """Lower than the last one, or another one under its number."""
    order = (claims["epoch"], claims["seq"])
    if order < (last.epoch, last.seq):
        raise Fault("bundle_rollback")
    if order == (last.epoch, last.seq) and last.digest not in (None, _digest_of(text)):
        raise Fault("bundle_rollback")


def _check_signers(jws: encoding.Jws, roles_jws: encoding.Jws, trust_domain: str, root: str) -> None:
    """Domain, signers and signatures, the roles before the bundle."""
    claims, roles = jws.payload, roles_jws.payload
    if claims["trust_domain"] != trust_domain:
        raise Fault("bundle_domain")
    check_signer(roles_jws, trust_domain, root)
    signer = _find_key(roles["policy"], jws.kid)
    if signer is None or roles["epoch"] != claims["epoch"]:
        raise Fault("bundle_signer")
    admit(signer)
    if not verifies(signer, jws.signature, jws.signing_input):
        raise Fault("bundle_signature")


def _check_role_use(claims: dict[str, Any], roles: dict[str, Any]) -> None:
    """What the root gives, the policy key must not take."""
    check_separation(roles)
    taken = set(role_keys(roles))
    for name, entry in claims["domains"].items():
        ours = name == roles["trust_domain"] or not taken.isdisjoint(jwk["x"] for jwk in entry["issuers"])
        if ours or not set(roles["x509"]).isdisjoint(entry["x509"]):
            raise Fault("bundle_role")
    root_issuers = {jwk["x"] for jwk in roles["root_issuers"]}
    speaks_for: dict[str, list[str]] = {}
    for anchor in claims["anchors"]:
        x = anchor["jwk"]["x"]
        if (x not in root_issuers) if anchor["kind"] == "root-issuer" else (x in taken):
            raise Fault("bundle_role")
        speaks_for[x] = anchor["principals"]
    for entry in claims.get("approvers", []):
        x = entry["jwk"]["x"]
        if x in taken or speaks_for.get(x, [entry["principal"]]) != [entry["principal"]]:
            raise Fault("bundle_role")


def _admit_rest(roles: dict[str, Any], claims: dict[str, Any]) -> None:
    """All but the anchors' keys, each of which is admitted when a chain starts from it."""
    jwks = [jwk for name, _, _ in KEY_LISTS for jwk in roles[name]]
    for entry in claims["domains"].values():
        jwks.extend(entry["issuers"])
    jwks.extend(entry["jwk"] for entry in claims.get("approvers", []))
    for jwk in jwks:
        admit(key_octets(jwk))


def verify_bundle(text: str, trust_domain: str, root: str, last: Last, now: int) -> Bundle:
    """The refusals of section 9, in its order. `root` is the thumbprint that the sidecar is configured with."""
    jws, roles_jws = parse_bundle(text)
    claims, roles = jws.payload, roles_jws.payload
    _check_signers(jws, roles_jws, trust_domain, root)
    _check_contents(claims)
    _check_role_use(claims, roles)
    check_period(claims, now)
    check_period(roles, now)
    _check_rollback(claims, text, last)
    _admit_rest(roles, claims)
    issuers = {domain: entry["issuers"] for domain, entry in claims["domains"].items()}
    issuers[trust_domain] = roles["issuers"]
    exp = min(claims["exp"], roles["exp"])
    digest = _digest_of(text)
    return Bundle(claims["epoch"], claims["seq"], digest, exp, Issuers(issuers), roles, claims)
