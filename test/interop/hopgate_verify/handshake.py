"""SPEC section 11: frames, transcript and proofs of the handshake, from the receiver's side."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

from . import encoding
from .encoding import b64u_encode
from .fault import Fault
from .keys import Issuers, verifies
from .members import Member, check_object, is_digest, is_text
from .spiffe import matches
from .wit import Wit, verify_wit

VERSION = b"hopgate-hs/1"
SUITE = 1
NONCE_OCTETS = 32
MAX_BODY = 12288
F1, F2, F3, F4 = 1, 2, 3, 4
_FIELD_COUNT = {F1: 4, F2: 4, F3: 1, F4: 2}

PROOF_NAMES = ("label", "role", "iid", "rid", "ijkt", "rjkt", "icert", "rcert", "exporter", "th")
_NAMES_OF_TEXT = ("label", "role", "iid", "rid")
PROOF_MEMBERS = [Member(name, is_text if name in _NAMES_OF_TEXT else is_digest) for name in PROOF_NAMES]
_MISMATCH = dict(
    label="proof_role",
    role="proof_role",
    iid="proof_identity",
    rid="proof_identity",
    ijkt="proof_key",
    rjkt="proof_key",
    icert="proof_certificate",
    rcert="proof_certificate",
    exporter="proof_channel",
    th="proof_transcript",
)


class Side(NamedTuple):
    """One end of the connection as the proofs name it; `cert` is b64u SHA-256 of the certificate."""

    id: str
    jkt: str
    cert: str


@dataclass(frozen=True)
class Receiver:
    """What a receiver knows before the frame arrives."""

    now: int
    own: Side
    peer_id: str
    peer_cert: str
    pin: str | None
    exporter: str
    issuers: Issuers
    seen_nonces: frozenset[bytes]


def parse_frame(frame: bytes, wanted: int) -> list[bytes]:
    """One whole frame of the wanted type, as its fields; nothing before, between or behind them."""
    if len(frame) < 4 or frame[0] != wanted:
        raise Fault("hs_frame")
    body = frame[4:]
    if int.from_bytes(frame[1:4], "big") != len(body) or len(body) > MAX_BODY:
        raise Fault("hs_frame")
    fields: list[bytes] = []
    at = 0
    for _ in range(_FIELD_COUNT[wanted]):
        end = at + 2 + int.from_bytes(body[at : at + 2], "big")
        if at + 2 > len(body) or end > len(body):
            raise Fault("hs_frame")
        fields.append(body[at + 2 : end])
        at = end
    if at != len(body):
        raise Fault("hs_frame")
    return fields


def make_frame(kind: int, fields: list[bytes]) -> bytes:
    """The inverse of parse_frame."""
    body = b"".join(len(field).to_bytes(2, "big") + field for field in fields)
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def _text(field: bytes) -> str:
    """Octets above 127 become characters that base64url refuses."""
    return field.decode("latin-1")


def parse_f1(frame: bytes) -> list[bytes]:
    """F1 with the lengths that its fields must have."""
    fields = parse_frame(frame, F1)
    if not 1 <= len(fields[1]) <= 8 or len(fields[2]) != NONCE_OCTETS:
        raise Fault("hs_frame")
    return fields


def parse_f2(frame: bytes) -> list[bytes]:
    """F2 with the lengths that its fields must have."""
    fields = parse_frame(frame, F2)
    if len(fields[0]) != 1 or len(fields[1]) != NONCE_OCTETS:
        raise Fault("hs_frame")
    return fields


def parse_f4_in_place_of_f2(frame: bytes) -> None:
    """The responder refuses before it has proven anything: there is nothing else that it may say here."""
    status, _ = parse_frame(frame, F4)
    raise Fault("hs_refused" if status == b"\x01" else "hs_frame")


def transcript_r(f1: bytes, f2: bytes) -> bytes:
    """th_R: F1 and the first three fields of F2's body, each with its length octets."""
    first_three = make_frame(F2, parse_frame(f2, F2)[:3])[4:]
    return hashlib.sha256(hashlib.sha256(f1).digest() + first_three).digest()


def transcript_i(f1: bytes, f2: bytes) -> bytes:
    """th_I: F1 and all of F2."""
    return hashlib.sha256(hashlib.sha256(f1).digest() + f2).digest()


def _check_peer(given: Receiver, nonce: bytes, wit_text: str) -> Wit:
    """Nonce, WIT, names, reflection, pin: the part that is the same for both roles."""
    if nonce in given.seen_nonces:
        raise Fault("hs_nonce")
    wit = verify_wit(wit_text, given.issuers, given.now)
    if wit.sub != given.peer_id:
        raise Fault("wit_not_svid")
    if wit.jkt == given.own.jkt:
        raise Fault("hs_reflection")
    if given.pin is not None and not matches(given.pin, given.peer_id):
        raise Fault("peer_not_pinned")
    return wit


def parse_proof(text: str, kind: encoding.JwsType) -> encoding.Jws:
    """Parse faults of a proof."""
    jws = encoding.parse_jws(text, kind)
    check_object(jws.payload, PROOF_MEMBERS)
    return jws


def _check_proof(
    text: str, role: str, initiator: Side, responder: Side, exporter: str, th: bytes, key: bytes
) -> None:
    """The fields in the order of the table, the signature last."""
    jws = parse_proof(text, encoding.PROOF_I if role == "initiator" else encoding.PROOF_R)
    wanted = dict(
        label=VERSION.decode(),
        role=role,
        iid=initiator.id,
        rid=responder.id,
        ijkt=initiator.jkt,
        rjkt=responder.jkt,
        icert=initiator.cert,
        rcert=responder.cert,
        exporter=exporter,
        th=b64u_encode(th),
    )
    for name in PROOF_NAMES:
        if jws.payload[name] != wanted[name]:
            raise Fault(_MISMATCH[name])
    if not verifies(key, jws.signature, jws.signing_input):
        raise Fault("proof_signature")


def responder_receives_f1(given: Receiver, f1: bytes) -> Wit:
    """The responder's checks of F1."""
    version, suites, nonce, wit_text = parse_f1(f1)
    if version != VERSION:
        raise Fault("hs_version")
    if SUITE not in suites:
        raise Fault("hs_suite")
    return _check_peer(given, nonce, _text(wit_text))


def responder_receives_f3(given: Receiver, wit: Wit, f1: bytes, f2: bytes, f3: bytes) -> str:
    """The responder's checks of F3; the session id."""
    (proof,) = parse_frame(f3, F3)
    th = transcript_i(f1, f2)
    initiator = Side(wit.sub, wit.jkt, given.peer_cert)
    _check_proof(_text(proof), "initiator", initiator, given.own, given.exporter, th, wit.key)
    return session_id(th)


def initiator_receives_f2(given: Receiver, f1: bytes, f2: bytes) -> str:
    """The initiator's checks of F2; the session id."""
    offered = parse_f1(f1)[1]
    if f2[:1] == bytes([F4]):
        parse_f4_in_place_of_f2(f2)
    suite, nonce, wit_text, proof = parse_f2(f2)
    if suite[0] not in offered or suite[0] != SUITE:
        raise Fault("hs_suite")
    wit = _check_peer(given, nonce, _text(wit_text))
    responder = Side(wit.sub, wit.jkt, given.peer_cert)
    th = transcript_r(f1, f2)
    _check_proof(_text(proof), "responder", given.own, responder, given.exporter, th, wit.key)
    return session_id(transcript_i(f1, f2))


def session_id(th_i: bytes) -> str:
    """b64u of the first 16 octets of th_I."""
    return b64u_encode(th_i[:16])
