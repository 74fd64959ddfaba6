"""Requests that prove themselves, signed here. Run: python3 -m unittest"""

import base64
import hashlib
from dataclasses import replace
from typing import Any

from hopgate_verify import keys, request_proof
from selfkit import ISSUERS, NOW, Key, agent, signed_request
from selfkit import wit as make_wit
from test_self import Case

A, B, C = (Key(name) for name in "abc")
a, b, c = (agent(name) for name in "abc")
EXPORTER = "x" * 43
BODY = b"body"
DIGEST = f"sha-256=:{base64.b64encode(hashlib.sha256(BODY).digest()).decode()}:"


class RequestProofTest(Case):
    def setUp(self) -> None:
        self.receiver = request_proof.Receiver(
            NOW, b, B.jkt, a, EXPORTER, NOW - 60, keys.Issuers(ISSUERS), frozenset(["fedcba9876543210"])
        )
        self.given: dict[str, str] = {
            "@method": "POST",
            "@authority": "b:14443",
            "@request-target": "/a?b",
            "workload-identity-token": make_wit(a, A),
            "hopgate-channel": EXPORTER,
            "delegation-chain": "chain",
            "content-digest": DIGEST,
        }

    def headers(self, key: Key = A, audience: str = b, given: dict[str, Any] | None = None, **parameters: Any) -> list[str]:
        whole = {name: value for name, value in {**self.given, **(given or {})}.items() if value is not None}
        return signed_request(whole, key, audience, **parameters)

    def check(self, reason: str, headers: list[str], method: str = "POST", target: str = "/a?b", body: bytes = BODY, **changes: Any) -> None:
        receiver = replace(self.receiver, **changes)
        self.assertReason(reason, request_proof.verify, receiver, method, target, headers, body)

    def test_what_was_signed(self) -> None:
        self.check("ok", self.headers())
        self.check("request_proof_signature", self.headers(), method="PUT")
        self.check("request_proof_signature", self.headers(), target="/a")
        self.check("request_proof_digest", self.headers(), body=b"another")
        self.check("request_proof_digest", self.headers(given={"content-digest": None}))
        self.check("request_proof_components", [*self.headers(), "delegation-grant", "x"])
        self.check("request_proof_components", self.headers(given={"accept": "x"}))
        self.check("http_header_duplicate", [*self.headers(), "Delegation_Chain", "x"])

    def test_parameters(self) -> None:
        for parameters in ({"keyid": '"x"'}, {"alg": '"ed25519"'}, {"tag": '"x"'}, {"nonce": '"x"'}, {"created": f"{NOW}.0"}):
            self.check("request_proof_malformed", self.headers(**parameters))
        self.check("request_proof_ttl", self.headers(expires=NOW + 31))
        self.check("request_proof_audience", self.headers(audience=c))
        self.check("request_proof_replayed", self.headers(nonce='"fedcba9876543210"'))

    def test_time_place_and_key(self) -> None:
        self.check("request_proof_expired", self.headers(), now=NOW + 39)
        self.check("request_proof_not_yet_valid", self.headers(), now=NOW - 31, started_at=NOW - 99)
        self.check("request_proof_before_start", self.headers(), started_at=NOW + 1)
        self.check("request_proof_channel", self.headers(), exporter="y" * 43)
        self.check("wit_not_svid", self.headers(), peer_id=c)
        self.check("hs_reflection", self.headers(), own_jkt=A.jkt)
        self.check("request_proof_signature", self.headers(key=C))
        self.check("wit_issuer_unknown", self.headers(), issuers=keys.Issuers({}))
