"""Checks of this implementation with objects that it signs itself. Run: python3 -m unittest"""

import hashlib
import unittest
from typing import Any, Callable

from hopgate_verify import bundle, encoding, keys, link, revocation, wit
from hopgate_verify.fault import Fault
from hopgate_verify.timestamp import verify_timestamp
from selfkit import ALICE, ISSUER, ISSUERS, NOW, ROOT, TD, Key, agent, anchor, further_link, link_id, root_link
from selfkit import bundle as make_bundle
from selfkit import raw_jws, roles, sign, timestamp
from selfkit import wit as make_wit

A, B, C = Key("a"), Key("b"), Key("c")
SMALL = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


class Case(unittest.TestCase):
    """assertReason for all of them."""

    def assertReason(self, reason: str, call: Callable[..., Any], *args: Any, **named: Any) -> None:
        got = "ok"
        try:
            call(*args, **named)
        except Fault as fault:
            got = fault.reason
        self.assertEqual(got, reason, args)


class EncodingTest(Case):
    def test_base64url(self) -> None:
        self.assertEqual(encoding.b64u_decode("AQI"), b"\x01\x02")
        for bad in ("A", "AQ=", "AQI=", "AQJ", "A+/A", "AQ I", "AQI\n", "É"):
            self.assertReason("jws_base64url", encoding.b64u_decode, bad)

    def test_json(self) -> None:
        nested = b'{"a":' * 8 + b"1" + b"}" * 8
        for reason, text in [
            ("ok", b' { "a" : [ 1 , -2, 0, 9007199254740991, true, null ] } \n'),
            ("ok", nested),
            ("json_depth", b"[" + nested + b"]"),
            ("json_utf8", b"\xef\xbb\xbf{}"),
            ("json_utf8", b'{"a":"\xff"}'),
            ("json_utf8", b'{"a":"\xed\xa0\x80"}'),
            ("json_utf8", b'{"a":"\\ud800"}'),
            ("json_utf8", b'{"a":"\\udc00\\ud800"}'),
            ("ok", b'{"a":"\\ud83d\\ude00"}'),
            ("json_duplicate_member", b'{"a":1,"\\u0061":2}'),
            ("json_duplicate_member", b'{"b":{"a":1,"a":1}}'),
            *(
                ("json_number", b'{"a":' + n + b"}")
                for n in (b"1.0", b"1e3", b"-0", b"9007199254740992", b"1.5e+7x")
            ),
            *(
                ("json_syntax", b'{"a":' + v + b"}")
                for v in (b"+1", b"NaN", b"tru", b"'a'", b'"\t"', b'"\\x"', b"", b"1,")
            ),
            *(
                ("json_syntax", b'{"a":' + v + b"}")
                for v in (b"01", b"-", b"1.", b"1e", b".5")
            ),
            ("json_syntax", b'{"a":"\\ud800\\x"}'),
            ("json_duplicate_member", b'{"a":1,"a":x}'),
            ("json_syntax", b"{} {}"),
            ("json_syntax", b'{"a"}'),
            ("json_syntax", b"[1,]"),
            ("json_syntax", b"{} // x"),
        ]:
            with self.subTest(text):
                self.assertReason(reason, encoding.parse_json, text)
        self.assertEqual(encoding.parse_json(b'"\\ud83d\\ude00"'), "\U0001f600")

    def test_jcs(self) -> None:
        value = {"\u20ac": 1, "\r": 2, "\U0001f600": 3, "\ufb33": 4, "a": ['"\\\x0f\n', True, None]}
        wanted = '{"\\r":2,"a":["\\"\\\\\\u000f\\n",true,null],"\u20ac":1,"\U0001f600":3,"\ufb33":4}'
        self.assertEqual(encoding.jcs(value).decode(), wanted)

    def test_jws(self) -> None:
        good = make_wit(agent("a"), A)
        self.assertReason("ok", wit.parse_wit, good)
        for header in (b'{"alg":"none","typ":"wit+jwt"}', b'{"typ":"wit+jwt","alg":"Ed25519"}', b"{}", b"x"):
            self.assertReason("jws_header", wit.parse_wit, raw_jws(header, b"{}", ISSUER))
        self.assertReason("jws_header", link.parse_any_link, good)
        self.assertReason("jws_header", wit.parse_wit, sign("wit+jwt", {}, ISSUER, kid=False))
        self.assertReason("jws_structure", wit.parse_wit, good + ".")
        self.assertReason("jws_structure", wit.parse_wit, good[:-1])
        self.assertReason("jws_base64url", wit.parse_wit, good[:-1] + "=")
        self.assertReason("jws_size", wit.parse_wit, "x" * 4097)
        self.assertReason("json_syntax", wit.parse_wit, sign("wit+jwt", [], ISSUER))  # type: ignore[arg-type]


class KeysTest(Case):
    def test_admission(self) -> None:
        self.assertEqual(keys.admission(A.raw), "ok")
        self.assertEqual(keys.encode_point(keys.decode_point(A.raw)), A.raw)
        self.assertEqual(keys.admission(A.raw[:31]), "key_length")
        p = keys.P
        for number in (p, p + 1, 2**255 - 1, 1 | 1 << 255, (p - 1) | 1 << 255, 2):
            self.assertEqual(keys.admission(number.to_bytes(32, "little")), "key_not_canonical", number)
        order4 = keys.decode_point(bytes(32))
        order8 = next(
            t
            for t in (
                keys.multiply(keys.L, keys.decode_point(y.to_bytes(32, "little")) or order4) for y in range(3, 99)
            )
            if not keys.is_identity(keys.multiply(4, t))
        )
        for factor in range(1, 9):
            torsion = keys.multiply(factor, order8)
            self.assertEqual(keys.admission(keys.encode_point(torsion)), "key_small_order")
            mixed = keys.encode_point(keys.add(keys.decode_point(B.raw), torsion))
            self.assertEqual(keys.admission(mixed), "ok" if factor == 8 else "key_mixed_order")

    def test_rfc8032_and_rfc8037(self) -> None:
        raw = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
        self.assertEqual(
            keys.thumbprint({"x": encoding.b64u_encode(raw)}), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        )
        base = keys.decode_point(((4 * pow(5, -1, keys.P)) % keys.P).to_bytes(32, "little"))
        self.assertTrue(keys.is_identity(keys.multiply(keys.L, base)))

    def test_s_below_l(self) -> None:
        signature = A.private.sign(b"m")
        self.assertTrue(keys.verifies(A.raw, signature, b"m"))
        s = int.from_bytes(signature[32:], "little") + keys.L
        self.assertFalse(keys.verifies(A.raw, signature[:32] + s.to_bytes(32, "little"), b"m"))


def digest_of(text: str) -> str:
    return encoding.b64u_encode(hashlib.sha256(text.encode()).digest())


class WitTest(Case):
    def check(self, reason: str, text: str) -> None:
        self.assertReason(reason, wit.verify_wit, text, keys.Issuers(ISSUERS), NOW)

    def test_all(self) -> None:
        a = agent("a")
        self.check("ok", make_wit(a, A, audit_jwk=B.jwk, attested={"node": "x"}))
        self.check("claim_unknown", make_wit(a, A, __proto__=1))
        self.check("claim_unknown", make_wit(a, A, cnf={"jwk": {**A.jwk, "d": "x"}}))
        self.check("claim_invalid", make_wit(a, A, iat=True))
        self.check("claim_invalid", make_wit("spiffe://company.com/x", A))
        self.check("wit_issuer_unknown", make_wit(a, A, signer=A))
        self.check("wit_issuer_unknown", make_wit(a, A, iss="spiffe://other.com"))
        self.check("wit_issuer_unknown", make_wit("spiffe://other.com/client/x", A, iss="spiffe://other.com"))
        self.check("ok", make_wit(a, A, exp=NOW - 29))
        self.check("wit_expired", make_wit(a, A, exp=NOW - 30))
        self.check("ok", make_wit(a, A, iat=NOW + 30))
        self.check("wit_not_yet_valid", make_wit(a, A, iat=NOW + 31))
        self.check("wit_signature", make_wit(a, A)[:-86] + make_wit(a, B)[-86:])
        self.check("key_small_order", make_wit(a, A, cnf={"jwk": {**A.jwk, "x": SMALL}}))
        # The audit key is admitted with the first checkpoint under it.
        self.check("ok", make_wit(a, A, audit_jwk={**A.jwk, "x": SMALL}))
        self.check("claim_unknown", make_wit(a, A, audit_jwk={**A.jwk, "d": "x"}))
        self.check("claim_invalid", make_wit(a, A, audit_jwk=None))


class BundleTest(Case):
    def check(self, reason: str, text: str, last: tuple[int, int] = (2, 7), digest: str | None = None) -> None:
        kept = bundle.Last(*last, digest)
        self.assertReason(reason, bundle.verify_bundle, text, TD, ROOT.jkt, kept, NOW)

    def test_all(self) -> None:
        self.check("ok", make_bundle())
        self.check("bundle_rollback", make_bundle(), (2, 8))
        self.check("bundle_rollback", make_bundle(), (3, 1))
        same, other = (digest_of(make_bundle(seq=seq)) for seq in (7, 8))
        self.check("ok", make_bundle(), (2, 7), same)
        self.check("bundle_rollback", make_bundle(), (2, 7), other)
        self.check("ok", make_bundle(), (2, 6), other)
        self.check("bundle_domain", make_bundle(trust_domain="other.com"))
        self.check("bundle_domain", make_bundle(roles=roles(trust_domain="other.com")))
        self.check("bundle_signer", make_bundle(signer=ISSUER))
        self.check("bundle_signer", make_bundle(epoch=3))
        self.check("bundle_signer", make_bundle(signer=ROOT))
        self.check("bundle_signer", make_bundle(roles=roles(root=A.jwk)))
        self.check(
            "bundle_signer",
            make_bundle(roles=sign("roles+jwt", encoding.parse_jws(roles(), encoding.ROLES).payload, A)),
        )
        self.check("bundle_signature", make_bundle()[:-86] + make_bundle(seq=9)[-86:])
        self.check("bundle_signature", make_bundle(roles=roles()[:-86] + roles(iat=1)[-86:]))
        self.check("bundle_expired", make_bundle(exp=NOW - 30))
        self.check("bundle_expired", make_bundle(roles=roles(exp=NOW - 30)))
        self.check("bundle_expired", make_bundle(iat=NOW + 31))
        # An anchor is admitted when a chain starts from it, all others with the bundle.
        self.check("ok", make_bundle(anchors=[anchor(jwk={**A.jwk, "x": SMALL})]))
        for name in ("policy", "timestamp", "issuers", "root_issuers"):
            more = {"policy": [Key("policy").jwk], name: [Key("policy").jwk, {**A.jwk, "x": SMALL}]}
            if name != "policy":
                more[name] = more[name][1:]
            self.check("key_small_order", make_bundle(roles=roles(**more)))
        self.check("bundle_role", make_bundle(roles=roles(timestamp=[Key("policy").jwk])))
        self.check("bundle_role", make_bundle(roles=roles(issuers=[ROOT.jwk])))
        self.check("bundle_role", make_bundle(anchors=[anchor(jwk=ISSUER.jwk)]))
        self.check("bundle_role", make_bundle(anchors=[anchor(kind="root-issuer")]))
        self.check("bundle_role", make_bundle(domains={TD: {"x509": [], "issuers": []}}))
        self.check("bundle_role", make_bundle(domains={"partner.com": {"x509": [], "issuers": [ISSUER.jwk]}}))
        self.check("bundle_role", make_bundle(domains={"partner.com": {"x509": ["AQID"], "issuers": []}}))
        carol = {"principal": "mailto:carol@company.com", "jwk": A.jwk}
        self.check("ok", make_bundle(approvers=[carol]))
        self.check("claim_invalid", make_bundle(approvers=[carol, {**carol, "principal": "mailto:bob@company.com"}]))
        self.check("bundle_role", make_bundle(approvers=[{**carol, "jwk": ALICE.jwk}]))
        self.check("bundle_role", make_bundle(approvers=[{**carol, "jwk": ISSUER.jwk}]))
        self.check("claim_unknown", make_bundle(extra=1))
        self.check("claim_invalid", make_bundle(anchors=[anchor(principals=["*"])]))
        by_root = roles(root_issuers=[ALICE.jwk])
        self.check("ok", make_bundle(anchors=[anchor(principals=["*"], kind="root-issuer")], roles=by_root))
        self.check("scope_empty", make_bundle(anchors=[anchor(scope=[])]))
        self.check("claim_invalid", make_bundle(revoked=[{"serial": 1}]))
        self.check("claim_invalid", make_bundle(anchors=[anchor(), anchor(max_depth=1)]))
        self.check("claim_invalid", make_bundle(domains={"a..b": {"x509": [], "issuers": []}}))
        self.check("claim_invalid", make_bundle(domains={TD: {"x509": ["AB"], "issuers": []}}))
        self.check("claim_invalid", make_bundle(domains={TD: {"x509": [], "issuers": [ISSUER.jwk] * 9}}))
        self.check("claim_invalid", make_bundle(revoked=[{"principal": "mailto:a@b"}]))

    def test_timestamp(self) -> None:
        text = make_bundle()
        held = bundle.verify_bundle(text, TD, ROOT.jkt, bundle.Last(0, 0, None), NOW)
        for reason, stamp, since, now in (
            ("ok", timestamp(text), NOW - 5, NOW),
            ("bundle_rollback", timestamp(text), NOW - 4, NOW),
            ("bundle_rollback", timestamp(make_bundle(seq=8)), 0, NOW),
            ("bundle_stale", timestamp(text), 0, NOW + 325),
            ("bundle_stale", timestamp(text), 0, NOW - 36),
            ("bundle_signer", timestamp(text, Key("policy")), 0, NOW),
            ("bundle_signature", timestamp(text)[:-86] + timestamp(text, exp=NOW)[-86:], 0, NOW),
            ("bundle_domain", timestamp(text, trust_domain="other.com"), 0, NOW),
        ):
            self.assertReason(reason, verify_timestamp, stamp, held, since, now)

    def test_revocation(self) -> None:
        root = root_link(agent("a"), A)
        leaf = further_link(root, agent("a"), A, agent("b"), B)
        links = link.parse_chain(f"{root}~{leaf}")
        alice, principal = link_id(root), "mailto:alice@company.com"
        for reason, entry in [
            ("ok", {"link": link_id(root)[::-1]}),
            ("revoked_link", {"link": link_id(leaf)}),
            ("revoked_link", {"link": "x", "parent": link_id(root), "delegatee": agent("b")}),
            ("ok", {"link": "x", "parent": link_id(root), "delegatee": agent("c")}),
            ("revoked_key", {"key": B.jkt}),
            ("revoked_key", {"key": ALICE.jkt}),
            ("agent_key_lost", {"key": B.jkt, "lost": True}),
            ("revoked_key", {"key": ALICE.jkt, "lost": True}),
            ("ok", {"key": C.jkt}),
            ("revoked_agent", {"agent": agent("a")}),
            ("revoked_task", {"task": alice, "principal": principal}),
            ("ok", {"task": alice, "principal": "mailto:bob@company.com"}),
            ("revoked_principal", {"principal": principal, "before": NOW - 9}),
            ("ok", {"principal": principal, "before": NOW - 10}),
        ]:
            self.assertReason(reason, revocation.check_revoked, [entry], links)
        all_of_them = [
            {"principal": principal, "before": NOW},
            {"key": ALICE.jkt},
            {"agent": agent("b")},
            {"key": A.jkt},
        ]
        self.assertReason("revoked_key", revocation.check_revoked, all_of_them, links)

    def test_the_bar_on_making_a_link_again_follows_a_rebind(self) -> None:
        root = root_link(agent("a"), A)
        rebound = further_link(root, agent("a"), A, agent("a"), C, rebind=True)
        again = further_link(rebound, agent("a"), C, agent("b"), B)
        links = link.parse_chain(f"{root}~{rebound}~{again}")
        bar = {"link": A.jkt, "parent": link_id(root), "delegatee": agent("b")}
        self.assertReason("revoked_link", revocation.check_revoked, [bar], links)


if __name__ == "__main__":
    unittest.main()
