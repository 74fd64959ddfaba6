"""SPEC section 4: Ed25519 keys as JWKs, their thumbprints, their admission, and signature checks."""

import hashlib
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .encoding import b64u_decode, b64u_encode
from .fault import Fault

# The curve of RFC 8032 section 5.1.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)

Point = tuple[int, int, int, int]  # extended homogeneous coordinates X, Y, Z, T
IDENTITY: Point = (0, 1, 1, 0)


def add(a: Point, b: Point) -> Point:
    """Point addition, complete (RFC 8032 section 5.1.4)."""
    left = (a[1] - a[0]) * (b[1] - b[0]) % P
    right = (a[1] + a[0]) * (b[1] + b[0]) % P
    c = 2 * a[3] * b[3] * D % P
    d = 2 * a[2] * b[2] % P
    e, f, g, h = right - left, d - c, d + c, right + left
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar: int, point: Point) -> Point:
    """[scalar]point by double and add; public data only, so time doesn't matter."""
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def is_identity(point: Point) -> bool:
    """Whether the point is (0, 1)."""
    return point[0] % P == 0 and (point[1] - point[2]) % P == 0


def decode_point(raw: bytes) -> Point | None:
    """RFC 8032 section 5.1.3, canonical encodings only; None for everything else."""
    number = int.from_bytes(raw, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x + u) % P == 0:
        x = x * SQRT_MINUS_1 % P
    if (v * x * x - u) % P != 0 or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def encode_point(point: Point) -> bytes:
    """RFC 8032 section 5.1.2."""
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


@lru_cache(maxsize=4096)
def admission(raw: bytes) -> str:
    """`ok`, or why this public key verifies nothing (section 4)."""
    if len(raw) != 32:
        return "key_length"
    point = decode_point(raw)
    if point is None:
        return "key_not_canonical"
    if is_identity(multiply(8, point)):
        return "key_small_order"
    return "ok" if is_identity(multiply(L, point)) else "key_mixed_order"


def admit(raw: bytes) -> None:
    """Admission as a check."""
    reason = admission(raw)
    if reason != "ok":
        raise Fault(reason)


def key_octets(jwk: dict[str, Any]) -> bytes:
    """The octets of a JWK whose form is already checked."""
    return b64u_decode(jwk["x"])


def thumbprint(jwk: dict[str, Any]) -> str:
    """RFC 7638 thumbprint (section 3)."""
    text = '{"crv":"Ed25519","kty":"OKP","x":"' + jwk["x"] + '"}'
    return b64u_encode(hashlib.sha256(text.encode("ascii")).digest())


def verifies(raw: bytes, signature: bytes, message: bytes) -> bool:
    """One RFC 8032 Ed25519 signature check; OpenSSL refuses S >= L."""
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class Issuers:
    """The WIT issuer keys by trust domain: {td: [JWK ...]}. Each is asked only about its own trust domain."""

    def __init__(self, by_domain: dict[str, list[dict[str, Any]]]) -> None:
        self._keys = {
            domain: {thumbprint(jwk): key_octets(jwk) for jwk in jwks} for domain, jwks in by_domain.items()
        }

    def find(self, domain: str, kid: str | None) -> bytes | None:
        """The issuer key `kid` of `domain`, if it has one."""
        return self._keys.get(domain, {}).get(kid) if kid is not None else None
