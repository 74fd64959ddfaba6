"""SPEC section 7: verification of a delegation chain and its grant, step by step in the order of 7.2."""

from dataclasses import dataclass
from typing import Any

from . import scope
from .encoding import b64u_decode, b64u_encode, jcs
from .fault import Fault
from .keys import Issuers, admit, key_octets, thumbprint, verifies
from .link import MAX_CHAIN_OCTETS, MAX_LINKS, Link, parse_chain, parse_link
from .members import URN_THUMBPRINT
from .spiffe import matches, trust_domain_of

SKEW = 30
HARD_DEPTH = 8


@dataclass(frozen=True)
class Peer:
    """An agent ID and key thumbprint, as proven by the handshake (or one's own)."""

    id: str
    jkt: str


@dataclass(frozen=True)
class Limits:
    """Policy limits."""

    max_depth: int
    link_ttl: int
    callbacks: bool
    human_root: bool
    max_task_age: int = 86_400


@dataclass(frozen=True)
class Verifier:
    """Everything that verification needs besides the chain itself. Issuer keys are admitted already, anchors' are not."""

    now: int
    trust_domain: str
    caller: Peer
    own: Peer | None
    issuers: Issuers
    anchors: list[dict[str, Any]]
    limits: Limits


@dataclass(frozen=True)
class Verified:
    """A verified chain."""

    links: list[Link]
    grant: Link | None
    depth: int

    @property
    def principal(self) -> str:
        """Whose authority it is."""
        return self.links[0].claims["sub"]

    @property
    def task(self) -> str:
        """L0's `task`, else L0's link id."""
        return self.links[0].claims.get("task", self.links[0].id)


def depth_of(links: list[Link]) -> int:
    """Links that are not rebinds."""
    return sum(not link.is_rebind for link in links)


def _check_depth(links: list[Link], limits: Limits) -> None:
    if depth_of(links) > min(limits.max_depth, HARD_DEPTH):
        raise Fault("chain_too_deep")


def _check_rebind(link: Link, parent: Link) -> None:
    """Section 7.4. Only a rebind repeats its parent's ID, and it changes nothing but the key."""
    same_id = link.delegatee == parent.delegatee
    if not link.is_rebind:
        if same_id:
            raise Fault("link_rebind")
        return
    kept = jcs(link.caveats) == jcs(parent.caveats) and all(
        jcs(link.claims[name]) == jcs(parent.claims[name]) for name in ("scope", "aud", "max_depth")
    )
    if parent.is_rebind or not same_id or link.jkt == parent.jkt or not kept:
        raise Fault("link_rebind")


def _check_position(links: list[Link], index: int, limits: Limits) -> None:
    """Step 4 for link `index`."""
    link, before = links[index], links[:index]
    if before:
        _check_rebind(link, before[-1])
    depth = depth_of(links[: index + 1])
    if any(depth > earlier.claims["max_depth"] for earlier in links[: index + 1]):
        raise Fault("chain_max_depth")
    if before and link.claims["max_depth"] > before[-1].claims["max_depth"]:
        raise Fault("link_max_depth_raised")
    if limits.callbacks and not link.is_rebind:
        return
    if not link.is_rebind and any(link.delegatee == earlier.delegatee for earlier in before):
        raise Fault("chain_agent_twice")
    if any(link.jkt == earlier.jkt for earlier in before):
        raise Fault("chain_key_twice")


def _check_times(links: list[Link], index: int, now: int, limits: Limits) -> None:
    """Step 5 for link `index`: skew against now, none between links."""
    claims = links[index].claims
    if claims["iat"] > now + SKEW:
        raise Fault("link_not_yet_valid")
    if now >= claims["exp"] + SKEW:
        raise Fault("link_expired")
    if claims["exp"] - claims["iat"] > limits.link_ttl:
        raise Fault("link_ttl")
    if "task_start" in claims and claims["exp"] > claims["task_start"] + limits.max_task_age:
        raise Fault("task_too_old")
    if index:
        parent = links[index - 1].claims
        if claims["iat"] < parent["iat"]:
            raise Fault("link_older_than_parent")
        if claims["exp"] > parent["exp"]:
            raise Fault("link_outlives_parent")


def _check_narrowing(link: Link, parent: Link | None) -> None:
    """Step 6 for a link and its parent, which L0 hasn't."""
    if parent is not None and link.claims["par_hash"] != parent.id:
        raise Fault("link_parent")
    if parent is not None and not set(link.claims["aud"]) <= set(parent.claims["aud"]):
        raise Fault("link_aud_widened")
    if trust_domain_of(link.delegatee) not in link.claims["aud"]:
        raise Fault("chain_aud")
    if parent is None:
        return
    if not scope.list_covers(parent.claims["scope"], link.claims["scope"]):
        raise Fault("link_scope_widened")
    inherited = link.caveats[: len(parent.caveats)]
    if jcs(inherited) != jcs(parent.caveats):
        raise Fault("link_caveats")


def _check_aud(leaf: Link, trust_domain: str) -> None:
    if trust_domain not in leaf.claims["aud"]:
        raise Fault("chain_aud")


def _check_anchor(root: Link, anchors: list[dict[str, Any]], human_root: bool) -> dict[str, Any]:
    """Step 7: the anchor that L0 names, and whether it may say this."""
    claims = root.claims
    wanted = claims["iss"].removeprefix(URN_THUMBPRINT)
    anchor = next((entry for entry in anchors if thumbprint(entry["jwk"]) == wanted), None)
    if anchor is None:
        raise Fault("anchor_unknown")
    any_principal = anchor["kind"] == "root-issuer" and anchor["principals"] == ["*"]
    if not any_principal and claims["sub"] not in anchor["principals"]:
        raise Fault("anchor_principal")
    if not any(matches(pattern, root.delegatee) for pattern in anchor["delegatees"]):
        raise Fault("anchor_delegatee")
    if not set(claims["aud"]) <= set(anchor["domains"]):
        raise Fault("anchor_domain")
    if not scope.list_covers(anchor["scope"], claims["scope"]):
        raise Fault("anchor_scope")
    if claims["exp"] - claims["iat"] > anchor["max_ttl"]:
        raise Fault("anchor_ttl")
    if claims["max_depth"] > anchor["max_depth"]:
        raise Fault("anchor_depth")
    if human_root and not anchor["human"]:
        raise Fault("anchor_not_human")
    return anchor


def key_binding_input(parent: Link, exp: int, kid: str) -> bytes:
    """Section 6: the signing input of a key binding, rebuilt from the parent."""
    header = f'{{"alg":"Ed25519","kid":"{kid}","typ":"kb+jwt"}}'.encode()
    payload = jcs({"exp": exp, "jkt": parent.jkt, "sub": parent.delegatee})
    return f"{b64u_encode(header)}.{b64u_encode(payload)}".encode()


def _check_link_signature(link: Link, key: bytes) -> None:
    if not verifies(key, link.jws.signature, link.jws.signing_input):
        raise Fault("link_signature")


def _check_signature(link: Link, parent: Link, issuers: Issuers) -> None:
    """Step 8 for a link after L0: key binding, admission of the parent's key, signature."""
    kb = link.claims["kb"]
    if kb["exp"] <= link.claims["iat"]:
        raise Fault("kb_expired")
    issuer = issuers.find(trust_domain_of(parent.delegatee), kb["kid"])
    if issuer is None:
        raise Fault("kb_issuer_unknown")
    if not verifies(issuer, b64u_decode(kb["sig"]), key_binding_input(parent, kb["exp"], kb["kid"])):
        raise Fault("kb_signature")
    admit(parent.key)
    _check_link_signature(link, parent.key)


def _verify_links(links: list[Link], given: Verifier) -> None:
    """Steps 3 to 8 for the chain."""
    if links[-1].delegatee != given.caller.id:
        raise Fault("chain_leaf_not_caller")
    if links[-1].jkt != given.caller.jkt:
        raise Fault("chain_leaf_key")
    _check_depth(links, given.limits)
    for index in range(len(links)):
        _check_position(links, index, given.limits)
    for index in range(len(links)):
        _check_times(links, index, given.now, given.limits)
    for parent, link in zip([None, *links], links):
        _check_narrowing(link, parent)
    _check_aud(links[-1], given.trust_domain)
    anchor = _check_anchor(links[0], given.anchors, given.limits.human_root)
    admit(key_octets(anchor["jwk"]))
    _check_link_signature(links[0], key_octets(anchor["jwk"]))
    for parent, link in zip(links, links[1:]):
        _check_signature(link, parent, given.issuers)


def _verify_grant(text: str, chain: str, links: list[Link], given: Verifier) -> Link:
    """Section 7.3: the grant is checked as the next link, addressed to the callee. Step 7 is about L0 alone."""
    if len(chain) + 1 + len(text) > MAX_CHAIN_OCTETS:
        raise Fault("chain_too_large")
    if len(links) + 1 > MAX_LINKS:
        raise Fault("chain_too_many_links")
    grant = parse_link(text, is_root=False)
    if grant.claims["par_hash"] != links[-1].id:
        raise Fault("grant_not_child")
    if given.own is None or grant.delegatee != given.own.id:
        raise Fault("grant_callee")
    if grant.jkt != given.own.jkt:
        raise Fault("grant_callee_key")
    if grant.is_rebind:
        raise Fault("link_rebind")
    extended = [*links, grant]
    _check_depth(extended, given.limits)
    _check_position(extended, len(links), given.limits)
    _check_times(extended, len(links), given.now, given.limits)
    _check_narrowing(grant, links[-1])
    _check_aud(grant, given.trust_domain)
    _check_signature(grant, links[-1], given.issuers)
    return grant


def verify_chain(chain: str, grant: str | None, given: Verifier) -> Verified:
    """Section 7.2, then 7.3 if there is a grant."""
    if not chain and grant is not None:
        raise Fault("grant_without_chain")
    links = parse_chain(chain)
    _verify_links(links, given)
    granted = _verify_grant(grant, chain, links, given) if grant is not None else None
    return Verified(links, granted, depth_of(links))
