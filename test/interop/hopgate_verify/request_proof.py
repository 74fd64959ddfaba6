"""SPEC section 12.1: the proof of one request, from its callee's side."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import NamedTuple

from .fault import Fault
from .keys import Issuers, verifies
from .members import is_time
from .wit import SKEW, Wit, verify_wit

MAX_SECONDS = 30
MAX_INPUT = 4096
TAG = "wimse-workload-to-workload"

ALWAYS = ("@method", "@authority", "@request-target")
WHERE_THERE = (
    "workload-identity-token",
    "hopgate-channel",
    "delegation-chain",
    "delegation-grant",
    "delegation-labels",
    "content-type",
    "content-digest",
    "authorization",
    "txn-token",
)
WANTED = frozenset([*WHERE_THERE, "signature-input", "signature", "host"])
PARAMETERS = ("created", "expires", "nonce", "tag", "wimse-aud")

_INPUT = re.compile(r"wimse=(\(([^()]*)\)((?:;[^;]+)*))")
_COMPONENT = re.compile(r'"(@?[a-z][a-z-]*)"')
_TIME = re.compile(r"[1-9][0-9]{0,11}")
_TEXT = re.compile(r'"([ !#-\[\]-~]*)"')
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_SIGNATURE = re.compile(r"wimse=:([A-Za-z0-9+/]{86}==):")
_DIGEST = re.compile(r"sha-(256|512)=:([A-Za-z0-9+/]+={0,2}):")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


@dataclass(frozen=True)
class Receiver:
    """What the callee knows before the request arrives."""

    now: int
    own_id: str
    own_jkt: str
    peer_id: str
    exporter: str
    started_at: int
    issuers: Issuers
    seen_nonces: frozenset[str]


class Input(NamedTuple):
    """What Signature-Input says, with its text less the label."""

    components: list[str]
    created: int
    expires: int
    nonce: str
    audience: str
    text: str


def _collect(headers: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for sent, value in zip(headers[::2], headers[1::2]):
        name = sent.lower().replace("_", "-")
        if name not in WANTED:
            continue
        if name in found or name != sent.lower():
            raise Fault("http_header_duplicate")
        found[name] = value
    return found


def _base64(text: str) -> bytes:
    """Octets in their one spelling; nothing for any other."""
    try:
        octets = base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
    return octets if base64.b64encode(octets).decode() == text else b""


def _time(text: str) -> int:
    if not _TIME.fullmatch(text) or not is_time(int(text)):
        raise Fault("request_proof_malformed")
    return int(text)


def _text(text: str) -> str:
    found = _TEXT.fullmatch(text)
    if not found:
        raise Fault("request_proof_malformed")
    return found.group(1)


def parse_input(text: str) -> Input:
    """Signature-Input: one signature, each component and each parameter once."""
    found = _INPUT.fullmatch(text) if len(text) <= MAX_INPUT else None
    if not found:
        raise Fault("request_proof_malformed")
    whole, listed, rest = found.groups()
    items = [_COMPONENT.fullmatch(item) for item in listed.split(" ")]
    components = [item.group(1) for item in items if item]
    if len(components) != len(items) or len(set(components)) != len(items):
        raise Fault("request_proof_malformed")
    parts = [part.split("=") for part in rest[1:].split(";")]
    given = {part[0]: part[1] for part in parts if len(part) == 2}
    if len(parts) != len(PARAMETERS) or given.keys() != set(PARAMETERS):
        raise Fault("request_proof_malformed")
    nonce, tag, audience = (_text(given[name]) for name in ("nonce", "tag", "wimse-aud"))
    created, expires = _time(given["created"]), _time(given["expires"])
    if not _NONCE.fullmatch(nonce) or tag != TAG:
        raise Fault("request_proof_malformed")
    return Input(components, created, expires, nonce, audience, whole)


def _parse_signature(text: str) -> bytes:
    found = _SIGNATURE.fullmatch(text)
    octets = _base64(found.group(1)) if found else b""
    if len(octets) != 64:
        raise Fault("request_proof_malformed")
    return octets


def signature_base(given: Input, method: str, target: str, headers: dict[str, str]) -> bytes:
    """A line for each component, when these are the ones that must be."""
    must = {*ALWAYS, *(name for name in WHERE_THERE if name in headers)}
    if set(given.components) != must:
        raise Fault("request_proof_components")
    host = headers.get("host", "")
    authority = re.sub(r":443\Z", "", host.lower()) if _HOST.fullmatch(host) else ""
    values = {**headers, "@method": method, "@authority": authority, "@request-target": target}
    lines = []
    for name in given.components:
        if not _VALUE.fullmatch(values[name]):
            raise Fault("request_proof_components")
        lines.append(f'"{name}": {values[name]}')
    return "\n".join([*lines, f'"@signature-params": {given.text}']).encode("latin-1")


def _check_times(given: Input, receiver: Receiver) -> None:
    if not 0 < given.expires - given.created <= MAX_SECONDS:
        raise Fault("request_proof_ttl")
    if receiver.now >= given.expires + SKEW:
        raise Fault("request_proof_expired")
    if given.created > receiver.now + SKEW:
        raise Fault("request_proof_not_yet_valid")
    if given.created < receiver.started_at:
        raise Fault("request_proof_before_start")


def _parse_digests(text: str | None, has_body: bool) -> list[tuple[str, bytes]]:
    if text is None:
        if has_body:
            raise Fault("request_proof_digest")
        return []
    found = [_DIGEST.fullmatch(member) for member in text.split(", ")]
    digests = [(one.group(1), _base64(one.group(2))) for one in found if one]
    right = all(len(octets) * 8 == int(bits) for bits, octets in digests)
    if len(digests) != len(found) or len({bits for bits, _ in digests}) != len(digests) or not right:
        raise Fault("request_proof_digest")
    return digests


def _check_wit(text: str, receiver: Receiver) -> Wit:
    wit = verify_wit(text, receiver.issuers, receiver.now)
    if wit.sub != receiver.peer_id:
        raise Fault("wit_not_svid")
    if wit.jkt == receiver.own_jkt:
        raise Fault("hs_reflection")
    return wit


def verify(receiver: Receiver, method: str, target: str, list_of_headers: list[str], body: bytes) -> Wit:
    """In the order of section 12.1; the WIT of the caller."""
    headers = _collect(list_of_headers)
    needed = ("signature-input", "signature", "workload-identity-token", "hopgate-channel")
    if not all(name in headers for name in needed):
        raise Fault("request_proof_missing")
    given = parse_input(headers["signature-input"])
    signature = _parse_signature(headers["signature"])
    base = signature_base(given, method, target, headers)
    if given.audience != receiver.own_id:
        raise Fault("request_proof_audience")
    _check_times(given, receiver)
    if headers["hopgate-channel"] != receiver.exporter:
        raise Fault("request_proof_channel")
    digests = _parse_digests(headers.get("content-digest"), bool(body))
    wit = _check_wit(headers["workload-identity-token"], receiver)
    if not verifies(wit.key, signature, base):
        raise Fault("request_proof_signature")
    if given.nonce in receiver.seen_nonces:
        raise Fault("request_proof_replayed")
    if any(hashlib.new(f"sha{bits}", body).digest() != octets for bits, octets in digests):
        raise Fault("request_proof_digest")
    return wit
