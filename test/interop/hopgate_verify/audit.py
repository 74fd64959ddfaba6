"""SPEC section 14: verification of an audit log."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from .encoding import b64u_encode, jcs, parse_json
from .fault import Fault
from .keys import Issuers, admit, key_octets, thumbprint, verifies
from .records import check_record, parse_checkpoint
from .wit import verify_wit

_HASH_TAIL = re.compile(rb',"hash":"([A-Za-z0-9_-]{43})"\}')
SKEW_MS = 30_000
_TAIL_OCTETS = len(b',"hash":"') + 43 + len(b'"}')


class LogFault(Fault):
    """A fault with the 1-based number of its line."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


@dataclass
class Report:
    """What a sound log holds. `signed` is the last line that a checkpoint signs."""

    lines: int = 0
    signed: int = 0
    checkpoints: int = 0
    unfinished: bool = False
    ended_cleanly: bool = False
    kinds: dict[str, int] = field(default_factory=dict)


def _parse_line(line: bytes) -> tuple[dict[str, Any], bytes, str]:
    """The record, the octets that its hash is over, and the hash that the line states."""
    tail = _HASH_TAIL.fullmatch(line[-_TAIL_OCTETS:])
    if not tail:
        raise Fault("audit_line")
    body = line[:-_TAIL_OCTETS] + b"}"
    try:
        record = parse_json(body)
        sound = check_record(record) and jcs(record) == body
    except Fault:
        sound = False
    if not sound:
        raise Fault("audit_line")
    return record, body, tail.group(1).decode()


def _check_checkpoint(record: dict[str, Any], pred: str, issuers: Issuers) -> None:
    """Proof, time, WIT (as of the proof), predecessor and position."""
    try:
        proof = parse_checkpoint(record["proof"])
        claims = proof.payload
        if abs(record["time"] - 1000 * claims["iat"]) > SKEW_MS:
            raise Fault("audit_checkpoint")
        wit = verify_wit(record["wit"], issuers, claims["iat"])
    except Fault:
        raise Fault("audit_checkpoint") from None
    wanted = dict(log=record["log"], sub=record["sidecar"], seq=record["seq"], prev=record["prev"], pred=pred)
    if any(claims[name] != value for name, value in wanted.items()) or wit.sub != record["sidecar"]:
        raise Fault("audit_checkpoint")
    jwk = wit.audit_jwk
    if jwk is None or thumbprint(jwk) != proof.kid:
        raise Fault("audit_checkpoint")
    try:
        admit(key_octets(jwk))
    except Fault:
        raise Fault("audit_checkpoint") from None
    if not verifies(key_octets(jwk), proof.signature, proof.signing_input):
        raise Fault("audit_checkpoint")


class _Walk:
    """The state between one line and the next."""

    def __init__(self, issuers: Issuers | None) -> None:
        self.issuers = issuers
        self.report = Report()
        self.log: tuple[str, str] | None = None
        self.seq = 0
        self.prev = ""
        self.pred = ""
        self.last_kinds = ("", "")

    def step(self, line: bytes) -> None:
        """One whole line: form, hash, place in the chain, checkpoint."""
        record, body, stated = _parse_line(line)
        if b64u_encode(hashlib.sha256(body).digest()) != stated:
            raise Fault("audit_hash")
        log = (record["log"], record["sidecar"])
        if self.log is not None and log != self.log:
            raise Fault("audit_order")
        if record["seq"] > self.seq + 1:
            raise Fault("audit_gap")
        if record["seq"] <= self.seq or record["prev"] != self.prev:
            raise Fault("audit_order")
        report = self.report
        report.lines += 1
        if record["kind"] == "checkpoint":
            if self.issuers is not None:
                _check_checkpoint(record, self.pred, self.issuers)
                report.signed = report.lines
            report.checkpoints += 1
            self.pred = stated
        report.kinds[record["kind"]] = report.kinds.get(record["kind"], 0) + 1
        self.last_kinds = (self.last_kinds[1], record["kind"])
        self.log, self.seq, self.prev = log, record["seq"], stated


def verify_log(data: bytes, issuers: Issuers | None, complete: int | None = None) -> Report:
    """Verifies a whole log file; a LogFault names the first fault.

    Without issuers the lines are chained, but nothing is known to be signed. `complete` is the `seq` of a checkpoint
    known from elsewhere. What stands behind the last LF is an unfinished write.
    """
    walk = _Walk(issuers)
    *lines, rest = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            walk.step(line)
        except Fault as fault:
            raise LogFault(fault.reason, number) from None
    if complete is not None and walk.seq < complete:
        raise LogFault("audit_cut", len(lines))
    walk.report.unfinished = bool(rest)
    walk.report.ended_cleanly = walk.last_kinds == ("stop", "checkpoint") and not rest
    return walk.report
