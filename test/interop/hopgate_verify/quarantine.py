"""SPEC section 13: the id of a request in quarantine, and what a reviewer says of one."""

import hashlib
import unicodedata
from typing import Any

from . import encoding
from .fault import Fault
from .keys import key_octets, thumbprint, verifies
from .members import Member, check_object, is_digest, is_jti, is_time
from .spiffe import is_agent_id

SKEW = 30
MAX_WHY = 200
_FACTS = ("body callee caller encoding method principal salt sidecar target task type").split()
_KINDS = {"inspect": (encoding.QUARANTINE_INSPECT, 300), "release": (encoding.QUARANTINE_RELEASE, 3600)}


def _is_why(value: Any) -> bool:
    return (
        type(value) is str
        and len(value) <= MAX_WHY
        and not any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in value)
    )


_MEMBERS = [
    Member("aud", is_agent_id),
    Member("exp", is_time),
    Member("iat", is_time),
    Member("id", is_digest),
    Member("jti", is_jti),
    Member("why", _is_why),
]


def quarantine_id(facts: dict[str, str]) -> str:
    """b64u(SHA-256(JCS(facts)))."""
    octets = encoding.jcs({name: facts[name] for name in _FACTS})
    return encoding.b64u_encode(hashlib.sha256(octets).digest())


def verify_word(
    kind: str, token: str, wanted: str, sidecar: str, reviewers: list[dict[str, Any]], now: int
) -> None:
    """`kind` is inspect or release; `reviewers` are admitted keys. Its one use is for the caller to count."""
    form, longest = _KINDS[kind]
    jws = encoding.parse_jws(token, form)
    claims = jws.payload
    check_object(claims, _MEMBERS)
    signer = next((jwk for jwk in reviewers if thumbprint(jwk) == jws.kid), None)
    holds = (
        claims["id"] == wanted
        and claims["aud"] == sidecar
        and signer is not None
        and claims["exp"] - claims["iat"] <= longest
        and now < claims["exp"]
        and claims["iat"] <= now + SKEW
    )
    if not holds or signer is None or not verifies(key_octets(signer), jws.signature, jws.signing_input):
        raise Fault("approval_invalid")
