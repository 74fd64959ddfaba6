"""Handshake and audit log checks with self-signed objects. Run: python3 -m unittest"""

import unittest
from dataclasses import replace
from typing import Any

from hopgate_verify import audit, encoding, handshake, keys
from selfkit import ISSUERS, NOW, Key, Log, agent, sign
from selfkit import wit as make_wit
from test_self import Case

A, B, C = (Key(name) for name in "abc")
a, b, c = (agent(name) for name in "abc")
CERT_A, CERT_B, EXPORTER, OTHER = (encoding.b64u_encode(text.encode() * 32) for text in "abex")
ALICE_LOG = encoding.b64u_encode(b"another log, 16b")


class HandshakeTest(Case):
    def setUp(self) -> None:
        self.one = handshake.Side(a, A.jkt, CERT_A)
        self.other = handshake.Side(b, B.jkt, CERT_B)
        self.f1 = self.make_f1()
        start = [b"\x01", b"R" * 32, make_wit(b, B).encode()]
        body = handshake.make_frame(2, start)[4:]
        th_r = handshake.hashlib.sha256(handshake.hashlib.sha256(self.f1).digest() + body).digest()
        self.f2 = handshake.make_frame(2, [*start, self.proof("responder", th_r, B)])
        self.th_i = handshake.transcript_i(self.f1, self.f2)

    def make_f1(self, version: bytes = b"hopgate-hs/1", suites: bytes = b"\x01", nonce: bytes = b"I" * 32) -> bytes:
        return handshake.make_frame(1, [version, suites, nonce, make_wit(a, A).encode()])

    def proof(self, role: str, transcript: bytes, key: Key, **changes: Any) -> bytes:
        claims = dict(
            label="hopgate-hs/1",
            role=role,
            iid=a,
            rid=b,
            ijkt=A.jkt,
            rjkt=B.jkt,
            icert=CERT_A,
            rcert=CERT_B,
            exporter=EXPORTER,
            th=encoding.b64u_encode(transcript),
        )
        return sign("hs-i+jwt" if role == "initiator" else "hs-r+jwt", {**claims, **changes}, key, kid=False).encode()

    def receiver(self, own: handshake.Side, peer: handshake.Side, **changes: Any) -> handshake.Receiver:
        issuers = keys.Issuers(ISSUERS)
        seen: frozenset[bytes] = frozenset()
        return replace(handshake.Receiver(NOW, own, peer.id, peer.cert, None, EXPORTER, issuers, seen), **changes)

    def test_responder(self) -> None:
        me = self.receiver(self.other, self.one)
        f1_reasons = [
            ("ok", self.f1),
            ("hs_frame", self.f1 + b"x"),
            ("hs_frame", self.f1[:-1]),
            ("hs_frame", b""),
            ("hs_frame", b"\x02" + self.f1[1:]),
            ("hs_frame", self.make_f1(nonce=b"")),
            ("hs_frame", handshake.make_frame(1, [b"hopgate-hs/1", b"\x01", b"I" * 32])),
            ("hs_frame", handshake.make_frame(1, [b"hopgate-hs/1", b"\x01", b"I" * 32, b"", b""])),
            ("hs_frame", handshake.make_frame(1, [b"x" * 12289, b"\x01", b"I" * 32, b""])),
            ("hs_version", self.make_f1(version=b"hopgate-hs/2")),
            ("hs_suite", self.make_f1(suites=b"\x02\x03")),
        ]
        for reason, frame in f1_reasons:
            self.assertReason(reason, handshake.responder_receives_f1, me, frame)
        for reason, changes in [
            ("hs_nonce", {"seen_nonces": frozenset([b"I" * 32])}),
            ("wit_issuer_unknown", {"issuers": keys.Issuers({})}),
            ("wit_not_svid", {"peer_id": c}),
            ("hs_reflection", {"own": self.one}),
        ]:
            self.assertReason(reason, handshake.responder_receives_f1, replace(me, **changes), self.f1)
        peer = handshake.responder_receives_f1(me, self.f1)
        for reason, changes in [
            ("ok", {}),
            ("proof_role", {"label": "x"}),
            ("proof_identity", {"rid": c}),
            ("proof_key", {"ijkt": C.jkt}),
            ("proof_certificate", {"rcert": OTHER}),
            ("proof_channel", {"exporter": OTHER}),
            ("claim_invalid", {"exporter": OTHER[:-2]}),
            ("proof_transcript", {"th": OTHER}),
            ("claim_unknown", {"x": "x"}),
        ]:
            f3 = handshake.make_frame(3, [self.proof("initiator", self.th_i, A, **changes)])
            self.assertReason(reason, handshake.responder_receives_f3, me, peer, self.f1, self.f2, f3)
        f3 = handshake.make_frame(3, [self.proof("initiator", self.th_i, B)])
        self.assertReason("proof_signature", handshake.responder_receives_f3, me, peer, self.f1, self.f2, f3)

    def test_initiator(self) -> None:
        me = self.receiver(self.one, self.other, pin=b)
        session = handshake.initiator_receives_f2(me, self.f1, self.f2)
        self.assertEqual(session, handshake.session_id(self.th_i))
        self.assertEqual(len(session), 22)
        self.assertReason("peer_not_pinned", handshake.initiator_receives_f2, replace(me, pin=c), self.f1, self.f2)
        type_pin = replace(me, pin=b.rpartition("/")[0] + "/*")
        self.assertReason("ok", handshake.initiator_receives_f2, type_pin, self.f1, self.f2)
        for reason, f4 in [
            ("hs_refused", [b"\x01", b"hs_busy"]),
            ("hs_refused", [b"\x01", b"because"]),
            ("hs_frame", [b"\x00", bytes(8)]),
            ("hs_frame", [b"\x01"]),
        ]:
            frame = handshake.make_frame(4, f4)
            self.assertReason(reason, handshake.initiator_receives_f2, me, self.f1, frame)
        other_f1 = self.make_f1(nonce=b"J" * 32)
        self.assertReason("proof_transcript", handshake.initiator_receives_f2, me, other_f1, self.f2)
        suite = self.f2.replace(b"\x00\x01\x01", b"\x00\x01\x02", 1)
        self.assertReason("hs_suite", handshake.initiator_receives_f2, me, self.f1, suite)


class AuditTest(Case):
    def setUp(self) -> None:
        self.log = Log(a, Key("audit"))
        self.log.add("start", version="1", policy="p", bundle="1.1")
        self.log.checkpoint()
        self.log.add(
            "outcome", hop="A" * 22 + ".1", direction="inbound", status=200, result="ok", sent=1, received=2, us=3
        )
        self.log.add("stop", reason="signal")
        self.log.checkpoint()

    def fault(self, data: bytes, complete: int | None = None) -> tuple[str, int]:
        try:
            audit.verify_log(data, keys.Issuers(ISSUERS), complete)
        except audit.LogFault as fault:
            return fault.reason, fault.line
        return "ok", 0

    def test_sound(self) -> None:
        report = audit.verify_log(self.log.data(), keys.Issuers(ISSUERS))
        self.assertEqual((report.lines, report.signed, report.ended_cleanly, report.unfinished), (5, 5, True, False))
        self.assertEqual(self.fault(self.log.data() + b'{"half'), ("ok", 0))
        self.assertEqual(self.fault(self.log.data(), 5), ("ok", 0))

    def test_faults(self) -> None:
        lines = self.log.lines

        def data(*wanted: bytes) -> bytes:
            return b"".join(line + b"\n" for line in wanted)

        self.assertEqual(self.fault(data(*lines[:2]), 5), ("audit_cut", 2))
        self.assertEqual(self.fault(data(lines[0], lines[2])), ("audit_gap", 2))
        self.assertEqual(self.fault(data(*lines[1:])), ("audit_gap", 1))
        self.assertEqual(self.fault(data(lines[0], b"x")), ("audit_line", 2))
        self.assertEqual(self.fault(data(lines[0], b"")), ("audit_line", 2))
        self.assertEqual(self.fault(data(lines[0].replace(b'"version":"1"', b'"version":"2"'))), ("audit_hash", 1))
        self.assertEqual(self.fault(data(lines[0].replace(b'{"bundle"', b'{ "bundle"'))), ("audit_line", 1))
        self.assertEqual(self.fault(data(lines[0].replace(b'"version"', b'"Version"'))), ("audit_line", 1))
        self.assertEqual(self.fault(data(lines[0], lines[0])), ("audit_order", 2))
        self.log.checkpoint(seq=9)
        self.assertEqual(self.fault(self.log.data()), ("audit_checkpoint", 6))

    def test_checkpoint_chain(self) -> None:
        self.log.checkpoint(pred="")
        self.assertEqual(self.fault(self.log.data()), ("audit_checkpoint", 6))
        other = Log(b, Key("audit"))
        other.wit = self.log.wit
        other.checkpoint()
        self.assertEqual(self.fault(other.data()), ("audit_checkpoint", 1))
        for key, wit_key in ((Key("audit"), Key("x")), (Key("audit"), None)):
            other = Log(a, key)
            other.wit = make_wit(a, A, **({"audit_jwk": wit_key.jwk} if wit_key else {}))
            other.checkpoint()
            self.assertEqual(self.fault(other.data()), ("audit_checkpoint", 1))
        other = Log(a, Key("audit"))
        other.checkpoint()
        forged = Log(a, Key("audit"))
        proof = sign("audit-cp+jwt", {"seq": 1}, Key("audit"))
        sound = encoding.parse_json(other.lines[0])["proof"]
        forged.add("checkpoint", proof=sound[:-86] + proof[-86:], wit=forged.wit)
        self.assertEqual(self.fault(forged.data()), ("audit_checkpoint", 1))
        other.log = ALICE_LOG
        other.add("stop", reason="x")
        self.assertEqual(self.fault(other.data()), ("audit_order", 2))
        gap = Log(a, Key("audit"))
        gap.lines.append(b"")
        gap.add("stop", reason="x")
        self.assertEqual(self.fault(gap.lines[1] + b"\n"), ("audit_gap", 1))


if __name__ == "__main__":
    unittest.main()
