"""Names, scopes, targets, caveats and scope decisions. Run: python3 -m unittest"""

import unittest

from hopgate_verify import caveats, decision, scope, scores, spiffe, target
from hopgate_verify.policy import read_policy
from selfkit import NOW, TD, agent, link_approval
from test_self import Case


class NamesTest(Case):
    def test_agent_ids(self) -> None:
        self.assertEqual(spiffe.parse_agent_id("spiffe://a.b/client/x"), ("a.b", "client"))
        self.assertEqual(spiffe.parse_agent_id(agent("stock")), (TD, "stock"))
        for bad in (
            "",
            "spiffe://a/agent/b",
            "spiffe://A/client/x",
            "spiffe://a/client/x/",
            "spiffe://a:1/client/x",
            "spiffe://a/agent/../x",
            "SPIFFE://a/client/x",
            "spiffe://a/client/%41",
            "spiffe://a/client/x?y",
            "spiffe://a/client/*",
            "spiffe:///client/x",
            "spiffe://a/client/x\n",
            "spiffe://./client/x",
            "spiffe://a..b/client/x",
            "spiffe://a/agent/client/x",
            f"spiffe://a/client/{'x' * 2048}",
        ):
            self.assertReason("svid_id", spiffe.parse_agent_id, bad)

    def test_patterns(self) -> None:
        self.assertTrue(spiffe.matches("spiffe://a/agent/b/*", "spiffe://a/agent/b/1"))
        self.assertFalse(spiffe.matches("spiffe://a/agent/b/*", "spiffe://a/agent/bb/1"))
        for bad in ("spiffe://a/agent/*", "spiffe://a/*", "*", "spiffe://a/agent/*/1", "spiffe://a/agent/b/x*"):
            self.assertFalse(spiffe.is_id_pattern(bad), bad)

    def test_scope(self) -> None:
        for good in ("cloud:read", "cloud:*", "ec2:Describe*", "a", "repo:a/b", "a:b:c*"):
            self.assertTrue(scope.is_pattern(good), good)
        for bad in (
            "",
            "*",
            "ec2*",
            ":a",
            "a:",
            "a::b",
            "a:**",
            "a:*b",
            "a//b",
            "/a",
            "a/",
            "a:../b",
            "a:.",
            "a b",
            "a:%41",
            "a:b/*",
            "é:a",
            "a:\n",
            "a" * 257,
        ):
            self.assertFalse(scope.is_pattern(bad), bad)
        for parent, child, wanted in [
            ("a:b", "a:b", True),
            ("a:b", "a:b:c", False),
            ("a:*", "a:b:c", True),
            ("a:*", "a:*", True),
            ("a:*", "a", False),
            ("a:*", "a:b:*", True),
            ("a:*", "ab:c", False),
            ("a:b*", "a:b", True),
            ("a:b*", "a:bc*", True),
            ("a:b*", "a:b:*", False),
            ("a:b*", "a:bc:d", False),
            ("a:bc*", "a:b*", False),
            ("a:b:*", "a:*", False),
        ]:
            self.assertEqual(scope.covers(parent, child), wanted, (parent, child))

    def test_target(self) -> None:
        for good in ("/", "/a", "/a/", "/a/b?x=%zz&y=?", "/%C3%A9", "/a%20b", "/a:b@c", "/..."):
            self.assertReason("ok", target.check_target, good)
        for bad in (
            "",
            "a",
            "//",
            "/a//",
            "/./a",
            "/..",
            "/%2e",
            "/%2E",
            "/%2F",
            "/%41",
            "/%5C",
            "/%3B",
            "/%25",
            "/%00",
            "/%7F",
            "/a;b",
            "/a#b",
            "/a?b c",
            "/a?b#c",
            "/a?\\",
            "/é",
            "/a%c3",
            "/a%4",
            "*",
            "http://a/",
        ):
            self.assertReason("target_not_canonical", target.check_target, bad)


class CaveatsTest(Case):
    def test_each(self) -> None:
        hop = caveats.Hop(NOW, agent("b"), "/a/b", "read", lambda index: 3)
        for reason, caveat in [
            ("ok", {"type": "callee", "ids": [f"spiffe://{TD}/agent/b/*"]}),
            ("caveat_callee", {"type": "callee", "ids": [agent("c")]}),
            ("ok", {"type": "resource", "paths": ["/a"]}),
            ("ok", {"type": "resource", "paths": ["/"]}),
            ("caveat_resource", {"type": "resource", "paths": ["/a/bc", "/a/b/c"]}),
            ("ok", {"type": "tool", "names": ["read"]}),
            ("caveat_tool", {"type": "tool", "names": ["write"]}),
            ("ok", {"type": "before", "time": NOW + 1}),
            ("caveat_before", {"type": "before", "time": NOW}),
            ("approval_invalid", {"type": "approval", "token": link_approval()}),
            ("ok", {"type": "max_uses", "uses": 4, "at": agent("b")}),
            ("caveat_max_uses", {"type": "max_uses", "uses": 3, "at": agent("b")}),
            ("caveat_max_uses", {"type": "max_uses", "uses": 4, "at": agent("c")}),
        ]:
            caveats.check_list([caveat])
            self.assertReason(reason, caveats.check_all_hold, [caveat], hop)
        self.assertReason("caveat_unknown", caveats.check_list, [{"type": "x"}])
        for bad in (
            1,
            {},
            {"type": "tool"},
            {"type": "tool", "names": []},
            {"type": "before", "time": 1, "x": 1},
            {"type": "before", "time": True},
            {"type": "resource", "paths": ["a"]},
            {"type": "tool", "names": ["a", "a"]},
            {"type": "approval", "id": "x"},
            {"type": "approval", "token": "x"},
            {"type": "approval", "token": link_approval(scope=[])},
        ):
            self.assertReason("caveat_invalid", caveats.check_list, [bad])


CLIENT = f"spiffe://{TD}/client/x"
POLICY = {
    "revision": "r1",
    "limits": {"maxDepth": 5, "linkTtlSeconds": 1, "callbacks": False, "humanRoot": False, "sessionSeconds": 1},
    "scopeSets": {},
    "lists": {"allowAgents": [], "blockAgents": [], "blockPrincipals": []},
    "routes": [
        {"name": "one", "methods": ["GET"], "path": "/ec2/{action}", "scopes": ["ec2:{action}"]},
        {"name": "rest", "path": "/reports/*", "scopes": ["cloud:read", "cloud:list"]},
    ],
    "rules": [{"name": "all", "effect": "allow"}],
}


class DecisionTest(Case):
    bundle: dict[str, object] = {}

    def decide(self, target: str = "/ec2/List", method: str = "GET", **policy: object) -> tuple[str, list[str]]:
        scopes = ["ec2:List*", "cloud:*"]
        links = [decision.Held(CLIENT, scopes, NOW - 60, NOW + 60), decision.Held(agent("a"), scopes, NOW - 60, NOW + 60)]
        bundle = {"fresh_at": NOW, **self.bundle}
        request = decision.Request(NOW, agent("b"), method, target, "mailto:a@b", links, [], **bundle)
        read_policy({**POLICY, **policy})
        found = decision.decide({**POLICY, **policy}, request)
        return found.reason, found.required

    def reason(self, wanted: str, *given: str, **policy: object) -> None:
        self.assertEqual(self.decide(*given, **policy)[0], wanted, (given, policy))

    def test_routes(self) -> None:
        self.assertEqual(self.decide(), ("ok", ["ec2:List"]))
        self.assertEqual(self.decide("/reports/x/y?z"), ("ok", ["cloud:read", "cloud:list"]))
        self.assertEqual(self.decide("/ec2/Stop"), ("scope_missing", ["ec2:Stop"]))
        self.reason("ok", "/reports/")
        for target in ("/reports", "/ec2/", "/ec2", "/ec2/List/", "/EC2/List", "/"):
            self.reason("route_unmatched", target)
        self.reason("route_unmatched", "/ec2/List", "get")
        self.reason("route_value", "/ec2/Li:st")
        self.reason("target_not_canonical", "/ec2//")

    def test_lists(self) -> None:
        for blocked in (CLIENT, agent("a"), agent("b")):
            self.reason("list_blocked", lists={**POLICY["lists"], "blockAgents": [blocked]})
        self.reason("list_blocked", lists={**POLICY["lists"], "blockPrincipals": ["mailto:a@b"]})
        self.reason("list_not_allowed", lists={**POLICY["lists"], "allowAgents": [CLIENT, agent("a")]})
        self.reason("ok", lists={**POLICY["lists"], "allowAgents": [CLIENT, agent("a"), agent("b")]})

    def test_rules(self) -> None:
        allow = {"name": "all", "effect": "allow"}
        self.reason("rule_unmatched", rules=[])
        for selector in (
            {"callers": [CLIENT]},
            {"callerTypes": ["client"]},
            {"callers": [CLIENT], "callerTypes": ["a"]},
        ):
            self.reason("rule_unmatched", rules=[{**allow, **selector}])
            self.reason("rule_denied", rules=[allow, {"name": "no", "effect": "deny", **selector}])
        half = {"scopes": ["cloud:read"]}
        self.reason("rule_unmatched", "/reports/x", rules=[{**allow, **half}])
        self.reason("rule_denied", "/reports/x", rules=[allow, {"name": "no", "effect": "deny", **half}])
        self.reason("ok", rules=[allow, {"name": "no", "effect": "deny", **half}])

    def test_demands(self) -> None:
        known = {"baseline": 500, "half_life": 60, "agents": {CLIENT: [400, NOW, 1]}}
        for bundle, demand, reason in (
            ({"fresh_at": NOW - 3600}, {}, "ok"),
            ({"fresh_at": NOW - 3601}, {}, "bundle_stale"),
            ({"fresh_at": NOW - 11}, {"maxStalenessSeconds": 10}, "bundle_stale"),
            ({}, {"minScore": 1}, "score_too_low"),
            ({"scores": known}, {"minScore": 400}, "ok"),
            ({"scores": known}, {"minScore": 401}, "score_too_low"),
            ({}, {"approval": True}, "approval_required"),
            ({"lists": {**POLICY["lists"], "blockAgents": [agent("a")]}}, {}, "list_blocked"),
        ):
            self.bundle = bundle
            self.reason(reason, demands=[{"scopes": ["ec2:*"], **demand}] if demand else [])
            self.reason("ok" if bundle.get("fresh_at") != NOW - 3601 and "lists" not in bundle else reason)
        self.bundle = {}


class ScopeSetsTest(Case):
    def test_nesting(self) -> None:
        def chain(count: int) -> dict[str, list[str]]:
            return {f"s:{at}": [f"s:{at + 1}"] if at < count - 1 else ["a:b"] for at in range(count)}

        read_policy({**POLICY, "scopeSets": chain(64)})
        read_policy({**POLICY, "scopeSets": dict(reversed(chain(64).items()))})
        for bad in (chain(65), dict(reversed(chain(65).items())), {"a": ["b"], "b": ["a"]}, {"a": ["a"]}):
            self.assertReason("policy_invalid", read_policy, {**POLICY, "scopeSets": bad})


class ScoreTest(Case):
    def test_asking_changes_nothing_and_time_pulls_to_the_baseline(self) -> None:
        known = {"baseline": 300, "half_life": 3600, "agents": {CLIENT: [1000, NOW, 50]}}
        seen = [scores.score_of(known, CLIENT, NOW + step * 600) for step in range(400)]
        self.assertEqual(seen, [scores.score_of(known, CLIENT, NOW + step * 600) for step in range(400)])
        self.assertEqual(seen, sorted(seen, key=lambda score: (-score.score, score.uncertainty)))
        self.assertEqual((seen[0], seen[-1]), ((1000, 70), (300, 500)))


if __name__ == "__main__":
    unittest.main()
