"""The vector runner and the log verifier's command line. Run: python3 -m unittest"""

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import run_vectors
import verify_log
from hopgate_verify import handshake
from selfkit import ALICE, ISSUERS, NOW, ROOT, TD, Key, Log, agent, anchor, bundle, further_link, link_approval
from selfkit import digest_of, quarantine_release, roles, root_link, signed_request, timestamp, wit

A, B = Key("a"), Key("b")
a, b = agent("a"), agent("b")
ROOT_LINK = root_link(a, A)
LIMITS = {"maxDepth": 5, "linkTtlSeconds": 7200, "callbacks": False, "humanRoot": True}


POLICY = {
    "revision": "r1",
    "limits": {**LIMITS, "sessionSeconds": 60},
    "scopeSets": {},
    "lists": {"allowAgents": [], "blockAgents": [], "blockPrincipals": []},
    "routes": [{"name": "a", "path": "/a", "scopes": ["cloud:read"]}],
    "rules": [{"name": "a", "effect": "allow"}],
}


def sound_log() -> Log:
    log = Log(a, Key("audit"))
    log.add("start", version="1", policy="p", bundle="1.1")
    log.checkpoint()
    return log


def hello() -> dict[str, Any]:
    f1 = handshake.make_frame(1, [b"hopgate-hs/1", b"\x01", bytes(32), wit(a, A).encode()])
    return {
        "role": "responder",
        "own": {"id": b, "jwk": B.jwk, "cert": "x"},
        "peer": {"id": a, "cert": "y"},
        "exporter": "z",
        "frames": {"f1": f1.hex()},
        "issuers": ISSUERS,
        "seenNonces": ["11" * 32],
    }


def proven() -> dict[str, Any]:
    given = {"@method": "GET", "@authority": "b", "@request-target": "/a"}
    given |= {"workload-identity-token": wit(a, A), "hopgate-channel": "x" * 43}
    return {
        "own": {"id": b, "jwk": B.jwk},
        "peer": a,
        "exporter": "x" * 43,
        "startedAt": NOW - 9,
        "issuers": ISSUERS,
        "seenNonces": ["fedcba9876543210"],
        "request": {"method": "GET", "target": "/a", "headers": signed_request(given, A, b)},
    }


GOOD: dict[str, dict[str, Any]] = {
    "keys.json": {"x": A.jwk["x"]},
    "jws.json": {"type": "link", "jws": ROOT_LINK},
    "spiffe.json": {"id": a},
    "scope.json": {"parent": ["a:*"], "child": ["a:b"]},
    "chain.json": {
        "chain": ROOT_LINK,
        "grant": further_link(ROOT_LINK, a, A, b, B),
        "trustDomain": TD,
        "caller": {"id": a, "jkt": A.jkt},
        "callee": {"id": b, "jkt": B.jkt},
        "issuers": ISSUERS,
        "anchors": [anchor()],
        "limits": LIMITS,
    },
    "caveats.json": {"caveats": [{"type": "max_uses", "uses": 2, "at": a}], "callee": a, "path": "/", "uses": 1},
    "wit.json": {"wit": wit(a, A), "issuers": ISSUERS},
    "handshake.json": hello(),
    "request-proof.json": proven(),
    "roles.json": {"roles": roles(), "trustDomain": TD, "root": ROOT.jkt},
    "bundle.json": {"bundle": bundle(), "trustDomain": TD, "root": ROOT.jkt, "last": {"epoch": 1, "seq": 99}},
    "timestamp.json": {
        "timestamp": timestamp(bundle()),
        "bundle": bundle(),
        "trustDomain": TD,
        "root": ROOT.jkt,
        "since": NOW - 9,
    },
    "approval.json": {
        "kind": "link",
        "token": link_approval(),
        "facts": {"principal": "mailto:alice@company.com", "delegatee": a, "parent": ALICE.jkt},
        "approvers": [{"principal": "mailto:carol@company.com", "jwk": Key("carol").jwk}],
        "agents": [A.jkt],
    },
    "quarantine.json": {
        "type": "release",
        "token": quarantine_release(),
        "wanted": {"id": digest_of("a request"), "sidecar": a},
        "reviewers": [{"name": "bob", "jwk": Key("bob").jwk}],
    },
    "scores.json": {"scores": {"baseline": 1, "half_life": 60, "agents": {a: [9, NOW, 1]}}, "agent": b},
    "attributes.json": {
        "attributes": {"agents": {a: {"team": "red"}}, "principals": {"mailto:a@b": {"groups": ["sre"]}}},
        "agent": a,
        "principal": "mailto:a@b",
    },
    "policy.json": {"policy": POLICY},
    "revocation.json": {"chain": ROOT_LINK, "revoked": [{"key": B.jkt}]},
    "target.json": {"target": "/a?b"},
    "message.json": {"server": '{"jsonrpc":"2.0","id":1,"result":{}}'},
    "decision.json": {
        "policy": POLICY,
        "freshAt": NOW,
        "request": {"callee": b, "method": "GET", "target": "/a", "caller": a, "principal": "mailto:a@b"},
        "scopes": [["cloud:read"]],
    },
    "audit.json": {
        "lines": [line.decode() for line in sound_log().lines],
        "issuers": ISSUERS,
        "complete": {"seq": 2},
    },
}


class RunnerTest(unittest.TestCase):
    def run_folder(self, files: dict[str, Any]) -> tuple[int, list[str]]:
        with tempfile.TemporaryDirectory() as folder:
            for name, cases in files.items():
                Path(folder, name).write_text(json.dumps(cases))
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                status = run_vectors.main(Path(folder))
        return status, out.getvalue().splitlines()

    def test_every_group_runs(self) -> None:
        self.assertEqual(GOOD.keys(), run_vectors.RUNNERS.keys())
        files = {n: [{"comment": "", "now": NOW, "input": i, "expect": {"reason": "ok"}}] for n, i in GOOD.items()}
        status, lines = self.run_folder(files)
        self.assertEqual((status, lines[-1]), (0, f"{len(GOOD)} passed, 0 failed"), lines)

    def test_whatever_is_not_right_fails(self) -> None:
        case = {"comment": "c", "now": NOW, "input": {"target": "//"}, "expect": {"reason": "ok"}}
        status, lines = self.run_folder(
            {
                "target.json": [case, {**case, "expect": {}}, {**case, "input": {}}],
                "new.json": [case],
                "keys.json": [],
            }
        )
        self.assertEqual((status, lines[-1]), (1, f"0 passed, {3 + 1 + len(GOOD) - 1} failed"), lines)

    def test_expected_members_are_compared(self) -> None:
        case = {"comment": "c", "now": NOW, "input": {"id": a}, "expect": {"reason": "ok", "type": "b"}}
        self.assertEqual(run_vectors.run_case(run_vectors.run_spiffe, case)["type"], "a")
        self.assertTrue(self.run_folder({"spiffe.json": [case]})[1][-1].startswith("0 passed"))


class VerifyLogTest(unittest.TestCase):
    def call(self, data: bytes, *options: str, issuers: Any = ISSUERS) -> tuple[int, str]:
        out = io.StringIO()
        with tempfile.TemporaryDirectory() as folder:
            log, trust = Path(folder, "a.log"), Path(folder, "issuers.json")
            log.write_bytes(data)
            trust.write_text(json.dumps(issuers))
            given = options or ("--issuers", str(trust))
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                with mock.patch("sys.argv", ["verify_log.py", *given, str(log)]):
                    return verify_log.main(), out.getvalue()

    def test_outcomes(self) -> None:
        log = sound_log()
        log.add("stop", reason="x")
        status, text = self.call(log.data() + b"half")
        self.assertEqual(status, 0)
        self.assertIn("signed up to line 2; 1 chained but not yet signed; unfinished write", text)
        status, text = self.call(log.data()[1:])
        self.assertEqual(status, 1)
        self.assertIn("a.log:1: audit_line", text)
        status, text = self.call(log.data(), "--unsigned")
        self.assertEqual(status, 0)
        self.assertIn("SIGNATURES NOT CHECKED", text)
        self.assertEqual(self.call(log.data(), issuers={})[0], 1)
        self.assertEqual(self.call(log.data(), issuers=[1])[0], 2)


if __name__ == "__main__":
    unittest.main()
