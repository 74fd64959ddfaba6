"""SPEC section 9: timestamps, by which the verifier says that a bundle is still its newest."""

from typing import Any

from . import encoding
from .bundle import Bundle
from .fault import Fault
from .keys import admit, key_octets, thumbprint, verifies
from .members import Member, check_object, integer, is_digest, is_text, is_time

SKEW = 30

MEMBERS = [
    Member("trust_domain", is_text),
    Member("epoch", integer(1)),
    Member("seq", integer(1)),
    Member("digest", is_digest),
    Member("iat", is_time),
    Member("exp", is_time),
]


def verify_timestamp(text: str, bundle: Bundle, since: int, now: int) -> dict[str, Any]:
    """Over the bundle in force; `since` is the `iat` of the last one accepted, 0 without."""
    jws = encoding.parse_jws(text, encoding.TIMESTAMP)
    claims = jws.payload
    check_object(claims, MEMBERS)
    if claims["trust_domain"] != bundle.roles["trust_domain"]:
        raise Fault("bundle_domain")
    signer = next((key_octets(jwk) for jwk in bundle.roles["timestamp"] if thumbprint(jwk) == jws.kid), None)
    if signer is None:
        raise Fault("bundle_signer")
    admit(signer)
    if not verifies(signer, jws.signature, jws.signing_input):
        raise Fault("bundle_signature")
    if (claims["epoch"], claims["seq"], claims["digest"]) != (bundle.epoch, bundle.seq, bundle.digest):
        raise Fault("bundle_rollback")
    if claims["iat"] < since:
        raise Fault("bundle_rollback")
    if now >= claims["exp"] + SKEW or claims["iat"] > now + SKEW:
        raise Fault("bundle_stale")
    return claims
