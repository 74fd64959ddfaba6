"""Chain and grant checks with self-signed objects. Run: python3 -m unittest"""

import unittest
from dataclasses import replace
from typing import Any

from hopgate_verify import chain, keys
from selfkit import ALICE, ISSUERS, NOW, TD, Key, agent, anchor, further_link, key_binding, link_id
from selfkit import link_approval, root_link
from test_self import SMALL, Case

A, B, C, D = (Key(name) for name in "abcd")
a, b, c, d = (agent(name) for name in "abcd")
LIMITS = chain.Limits(5, 7200, False, True)


def given(leaf: str = b, key: Key = B, own: str = c, own_key: Key = C, **changes: Any) -> chain.Verifier:
    verifier = chain.Verifier(
        NOW, TD, chain.Peer(leaf, key.jkt), chain.Peer(own, own_key.jkt), keys.Issuers(ISSUERS), [anchor()], LIMITS
    )
    return replace(verifier, **changes)


class ChainTest(Case):
    def check(self, reason: str, links: list[str], grant: str | None = None, **named: Any) -> None:
        self.assertReason(reason, chain.verify_chain, "~".join(links), grant, given(**named))

    def two(self, reason: str, **changes: Any) -> None:
        root = root_link(a, A)
        self.check(reason, [root, further_link(root, a, A, b, B, **changes)])

    def one(self, reason: str, sub: str = a, **changes: Any) -> None:
        self.check(reason, [root_link(sub, A, **changes)], leaf=sub, key=A)

    def test_form(self) -> None:
        self.two("ok")
        self.check("chain_missing", [])
        self.check("grant_without_chain", [], "x")
        self.check("chain_too_many_links", ["x"] * 17)
        self.check("chain_too_large", ["x" * 8193])
        self.check("jws_structure", [root_link(a, A), ""])
        self.one("claim_unknown", par_hash="x")
        self.two("claim_unknown", iss="x")
        self.two("claim_missing", kb=None)
        self.two("claim_invalid", rebind=False)
        self.two("claim_invalid", iat=NOW, exp=NOW)
        self.one("claim_invalid", purpose="a\nb")
        self.one("claim_invalid", aud=[TD, TD])
        self.one("scope_empty", scope=[])
        self.one("scope_invalid", scope=["*"])
        self.one("caveat_unknown", caveats=[{"type": "x"}])
        self.one("caveat_invalid", caveats=[{"type": "before"}])
        self.one("caveat_invalid", caveats=[])
        self.one("caveat_invalid", caveats={})
        self.one("claim_invalid", purpose="a\u200bb")
        self.one("claim_invalid", iat=0)
        self.one("claim_invalid", exp=253402300800)

    def test_leaf_and_depth(self) -> None:
        root = root_link(a, A, max_depth=2)
        leaf = further_link(root, a, A, b, B, max_depth=2)
        self.check("chain_leaf_not_caller", [root, leaf], leaf=c)
        self.check("chain_leaf_key", [root, leaf], key=C)
        self.check("chain_too_deep", [root, leaf], limits=replace(LIMITS, max_depth=1))
        third = further_link(leaf, b, B, c, C, max_depth=2)
        self.check("chain_max_depth", [root, leaf, third], leaf=c, key=C)
        self.check("link_max_depth_raised", [root, further_link(root, a, A, b, B, max_depth=3)])
        back = further_link(leaf, b, B, a, C, max_depth=2)
        wide = root_link(a, A)
        middle = further_link(wide, a, A, b, B)
        callback = further_link(middle, b, B, a, C)
        self.check("chain_agent_twice", [wide, middle, callback], leaf=a, key=C)
        free = replace(LIMITS, callbacks=True)
        self.check("ok", [wide, middle, callback], leaf=a, key=C, limits=free)
        self.check("chain_max_depth", [root, leaf, back], leaf=a, key=C, limits=free)
        self.check("chain_key_twice", [wide, further_link(wide, a, A, b, A)], key=A)
        self.check("link_rebind", [wide, further_link(wide, a, A, a, B)], leaf=a)

    def test_rebind(self) -> None:
        root = root_link(a, A, max_depth=1)
        again = further_link(root, a, A, a, B, rebind=True, max_depth=1)
        self.check("ok", [root, again], leaf=a)
        self.check("link_rebind", [root, further_link(root, a, A, a, B, rebind=True)], leaf=a)
        self.check("link_rebind", [root, further_link(root, a, A, a, A, rebind=True, max_depth=1)], leaf=a, key=A)
        third = further_link(again, a, B, a, C, rebind=True, max_depth=1)
        self.check("link_rebind", [root, again, third], leaf=a, key=C)
        wide = root_link(a, A)
        away = further_link(wide, a, A, b, B)
        home = further_link(away, b, B, b, A, rebind=True)
        free = replace(LIMITS, callbacks=True)
        self.check("chain_key_twice", [wide, away, home], leaf=b, key=A, limits=free)
        found = chain.verify_chain(f"{root}~{again}", None, given(leaf=a))
        self.assertEqual((found.depth, found.task), (1, link_id(root)))

    def test_times(self) -> None:
        self.one("ok", iat=NOW + 30, exp=NOW + 60)
        self.one("link_not_yet_valid", iat=NOW + 31, exp=NOW + 60)
        self.one("ok", iat=NOW - 100, exp=NOW - 29)
        self.one("link_expired", iat=NOW - 100, exp=NOW - 30)
        self.one("link_ttl", iat=NOW, exp=NOW + 7201)
        self.two("link_older_than_parent", iat=NOW - 11)
        self.two("link_outlives_parent", exp=NOW + 3601)

    def test_narrowing(self) -> None:
        self.two("link_parent", par_hash=ALICE.jkt)
        self.two("link_aud_widened", aud=[TD, "partner.com"])
        self.two("link_scope_widened", scope=["ec2:Describe"])
        carried = [{"type": "before", "time": NOW + 5}]
        root = root_link(a, A, caveats=carried)
        self.check("link_caveats", [root, further_link(root, a, A, b, B)])
        more = [*carried, {"type": "approval", "token": link_approval()}]
        self.check("ok", [root, further_link(root, a, A, b, B, caveats=more)])
        self.check("link_caveats", [root, further_link(root, a, A, b, B, caveats=more[::-1])])
        self.one("chain_aud", aud=["partner.com"])
        foreign = "spiffe://partner.com/agent/a/1"
        root = root_link(a, A, aud=[TD, "partner.com"])
        both = further_link(root, a, A, foreign, B, aud=[TD, "partner.com"])
        self.check("ok", [root, both], leaf=foreign)
        self.check("chain_aud", [root, further_link(root, a, A, foreign, B)], leaf=foreign)
        self.check("chain_aud", [root, further_link(root, a, A, b, B, aud=["partner.com"])], trust_domain="partner.com")

    def test_anchor(self) -> None:
        chain_of_one = [root_link(a, A)]
        for reason, changes in [
            ("anchor_unknown", {"jwk": B.jwk}),
            ("anchor_principal", {"principals": ["mailto:bob@company.com"]}),
            ("anchor_principal", {"principals": ["*"]}),
            ("ok", {"principals": ["*"], "kind": "root-issuer"}),
            ("anchor_delegatee", {"delegatees": [b]}),
            ("anchor_domain", {"domains": ["partner.com"]}),
            ("anchor_scope", {"scope": ["cloud:read"]}),
            ("anchor_ttl", {"max_ttl": 60}),
            ("anchor_depth", {"max_depth": 4}),
            ("anchor_not_human", {"human": False}),
        ]:
            self.check(reason, chain_of_one, leaf=a, key=A, anchors=[anchor(**changes)])
        free = replace(LIMITS, human_root=False)
        self.check("ok", chain_of_one, leaf=a, key=A, anchors=[anchor(human=False)], limits=free)

    def test_signatures(self) -> None:
        root = root_link(a, A)
        self.check("link_signature", [root[:-86] + root_link(a, A, max_depth=4)[-86:]], leaf=a, key=A)
        self.two("kb_expired", kb=key_binding(a, A, exp=NOW - 10))
        self.two("kb_issuer_unknown", kb={**key_binding(a, A), "kid": A.jkt})
        self.two("kb_signature", kb=key_binding(b, A))
        self.two("kb_signature", kb={**key_binding(a, A), "exp": NOW + 5})
        self.check("kb_issuer_unknown", [root, further_link(root, a, A, b, B)], issuers=keys.Issuers({}))
        forged = further_link(root, a, A, b, B)
        self.check("link_signature", [root, forged[:-86] + root[-86:]])
        weak = Key("weak")
        weak.jwk = {**A.jwk, "x": SMALL}
        weak.jkt = keys.thumbprint(weak.jwk)
        root = root_link(a, weak)
        self.check("key_small_order", [root, further_link(root, a, weak, b, B)])

    def test_grant(self) -> None:
        root = root_link(a, A)
        leaf = further_link(root, a, A, b, B)
        pair = [root, leaf]
        self.check("ok", pair, further_link(leaf, b, B, c, C))
        self.check("grant_callee", pair, further_link(leaf, b, B, d, C))
        self.check("grant_callee_key", pair, further_link(leaf, b, B, c, D))
        self.check("grant_not_child", pair, further_link(root, b, B, c, C))
        self.check("link_scope_widened", pair, further_link(leaf, b, B, c, C, scope=["ec2:Describe"]))
        self.check("link_signature", pair, further_link(leaf, b, B, c, C)[:-86] + leaf[-86:])
        self.check("chain_too_deep", pair, further_link(leaf, b, B, c, C), limits=replace(LIMITS, max_depth=2))
        self.check("link_rebind", pair, further_link(leaf, b, B, c, C, rebind=True))
        self.check("link_rebind", pair, further_link(leaf, b, B, b, C, rebind=True), own=b)
        long = root_link(a, A, scope=[f"cloud:{i}{'x' * 60}" for i in range(29)])
        below = further_link(long, a, A, b, B, scope=[f"cloud:{i}{'x' * 60}" for i in range(29)])
        grants = [further_link(below, b, B, c, C, scope=[f"cloud:0{'x' * 60}"], purpose="p" * i) for i in (1, 256)]
        self.assertLess(len(f"{long}~{below}~{grants[0]}"), 8193)
        self.check("ok", [long, below], grants[0], anchors=[anchor()])
        self.assertGreater(len(f"{long}~{below}~{grants[1]}"), 8192)
        self.check("chain_too_large", [long, below], grants[1])


if __name__ == "__main__":
    unittest.main()
