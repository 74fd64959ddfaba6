#!/usr/bin/env python3
"""Runs test/vectors/*.json through this implementation. See test/vectors/README.md for their form."""

import json
import sys
from pathlib import Path
from typing import Any, Callable

from hopgate_verify import approval, attributes, audit, bundle, caveats, chain, decision, encoding, handshake, keys
from hopgate_verify import link, mcp, message, policy, quarantine, records, request_proof, revocation, roles, scope, scores, spiffe
from hopgate_verify import target, timestamp, wit
from hopgate_verify.fault import Fault
from hopgate_verify.members import Member, check_object, is_digest, is_principal, is_time
from hopgate_verify.spiffe import is_agent_id

VECTORS = Path(__file__).resolve().parent.parent / "vectors"

Json = dict[str, Any]
Result = dict[str, Any]


def run_keys(case: Json, now: int) -> Result:
    keys.admit(encoding.b64u_decode(case["x"]))
    return {}


def parse_assertion(text: str) -> None:
    """SPEC section 6, assertion."""
    names = [("iss", is_agent_id), ("aud", is_agent_id), ("sub", is_agent_id), ("principal", is_principal)]
    names += [("task", is_digest), ("scope", scope.is_scope_list), ("link", is_digest), ("iat", is_time)]
    names += [("exp", is_time)]
    claims = encoding.parse_jws(text, encoding.ASSERTION).payload
    check_object(claims, [Member(*name) for name in names])
    if claims["aud"] != claims["iss"] or claims["exp"] > claims["iat"] + 60:
        raise Fault("claim_invalid")


# The README leaves the names of the types open; these are the words of the header table and the `typ` values.
JWS_PARSERS: dict[str, Callable[[str], Any]] = {}
for _names, _parse in [
    (("link", "dlink"), link.parse_any_link),
    (("proof-i", "hs-i", "initiator"), lambda text: handshake.parse_proof(text, encoding.PROOF_I)),
    (("proof-r", "hs-r", "responder"), lambda text: handshake.parse_proof(text, encoding.PROOF_R)),
    (("wit",), wit.parse_wit),
    (("roles",), roles.parse_roles),
    (("bundle",), bundle.parse_whole_bundle),
    (("checkpoint", "audit-cp"), records.parse_checkpoint),
    (("assertion", "hop"), parse_assertion),
]:
    for _name in _names:
        JWS_PARSERS[_name] = JWS_PARSERS[f"{_name}+jwt"] = _parse


def run_jws(case: Json, now: int) -> Result:
    JWS_PARSERS[case["type"]](case["jws"])
    return {}


def run_spiffe(case: Json, now: int) -> Result:
    found = spiffe.parse_agent_id(case["id"])
    return {"type": found.type, "trustDomain": found.trust_domain}


def run_scope(case: Json, now: int) -> Result:
    if "pattern" in case:
        if not scope.is_pattern(case["pattern"]):
            raise Fault("scope_invalid")
        return {}
    scope.check_list(case["parent"])
    scope.check_list(case["child"])
    if not scope.list_covers(case["parent"], case["child"]):
        raise Fault("link_scope_widened")
    return {}


def run_chain(case: Json, now: int) -> Result:
    limits = case["limits"]
    given = chain.Verifier(
        now=now,
        trust_domain=case["trustDomain"],
        caller=chain.Peer(case["caller"]["id"], case["caller"]["jkt"]),
        own=chain.Peer(case["callee"]["id"], case["callee"]["jkt"]) if "callee" in case else None,
        issuers=keys.Issuers(case["issuers"]),
        anchors=case["anchors"],
        limits=chain.Limits(
            limits["maxDepth"],
            limits["linkTtlSeconds"],
            limits["callbacks"],
            limits["humanRoot"],
            limits.get("maxTaskAgeSeconds", 86_400),
        ),
    )
    found = chain.verify_chain(case["chain"], case.get("grant"), given)
    links = [entry.id for entry in found.links]
    return {"depth": found.depth, "principal": found.principal, "task": found.task, "links": links}


def run_caveats(case: Json, now: int) -> Result:
    caveats.check_list(case["caveats"])
    uses = case.get("uses", 0)

    def count(index: int) -> int:
        if type(uses) is int:
            return uses
        return uses[index] if type(uses) is list else uses.get(str(index), 0)

    hop = caveats.Hop(now, case["callee"], case["path"], case.get("tool"), count)
    caveats.check_all_hold(case["caveats"], hop)
    return {}


def run_wit(case: Json, now: int) -> Result:
    found = wit.verify_wit(case["wit"], keys.Issuers(case["issuers"]), now)
    return {"sub": found.sub, "jkt": found.jkt}


def run_handshake(case: Json, now: int) -> Result:
    own = handshake.Side(case["own"]["id"], keys.thumbprint(case["own"]["jwk"]), case["own"]["cert"])
    given = handshake.Receiver(
        now=now,
        own=own,
        peer_id=case["peer"]["id"],
        peer_cert=case["peer"]["cert"],
        pin=case.get("pin"),
        exporter=case["exporter"],
        issuers=keys.Issuers(case["issuers"]),
        seen_nonces=frozenset(bytes.fromhex(nonce) for nonce in case.get("seenNonces", [])),
    )
    f1, f2, f3 = (bytes.fromhex(case["frames"].get(name, "")) for name in ("f1", "f2", "f3"))
    if case["role"] == "initiator":
        return {"session": handshake.initiator_receives_f2(given, f1, f2)}
    peer = handshake.responder_receives_f1(given, f1)
    if "f3" not in case["frames"]:
        return {}
    return {"session": handshake.responder_receives_f3(given, peer, f1, f2, f3)}


def run_request_proof(case: Json, now: int) -> Result:
    request = case["request"]
    given = request_proof.Receiver(
        now=now,
        own_id=case["own"]["id"],
        own_jkt=keys.thumbprint(case["own"]["jwk"]),
        peer_id=case["peer"],
        exporter=case["exporter"],
        started_at=case["startedAt"],
        issuers=keys.Issuers(case["issuers"]),
        seen_nonces=frozenset(case.get("seenNonces", [])),
    )
    body = request.get("body", "").encode()
    found = request_proof.verify(given, request["method"], request["target"], request["headers"], body)
    return {"sub": found.sub, "jkt": found.jkt}


def run_bundle(case: Json, now: int) -> Result:
    last = bundle.Last(case["last"]["epoch"], case["last"]["seq"], case["last"].get("digest"))
    found = bundle.verify_bundle(case["bundle"], case["trustDomain"], case["root"], last, now)
    return {"epoch": found.epoch, "seq": found.seq}


def run_roles(case: Json, now: int) -> Result:
    return {"epoch": roles.verify_roles(case["roles"], case["trustDomain"], case["root"], now)["epoch"]}


def run_timestamp(case: Json, now: int) -> Result:
    issued = bundle.parse_bundle(case["bundle"])[0].payload["iat"]
    found = bundle.verify_bundle(case["bundle"], case["trustDomain"], case["root"], bundle.Last(0, 0, None), issued)
    return {"iat": timestamp.verify_timestamp(case["timestamp"], found, case["since"], now)["iat"]}


def run_approval(case: Json, now: int) -> Result:
    is_link = case["kind"] == "link"
    jws = (approval.parse_link_approval if is_link else approval.parse_request_approval)(case["token"])
    names = approval.LINK_FACTS if is_link else approval.REQUEST_FACTS
    facts = [(member.name, case["facts"][member.name]) for member in names]
    approvers = [approval.Approver(**entry) for entry in case["approvers"]]
    approval.verify_approval(jws, facts, approvers, case["agents"], now)
    return {}


def run_quarantine(case: Json, now: int) -> Result:
    if "facts" in case:
        return {"id": quarantine.quarantine_id(case["facts"])}
    wanted = case["wanted"]
    reviewers = [entry["jwk"] for entry in case["reviewers"]]
    quarantine.verify_word(case["type"], case["token"], wanted["id"], wanted["sidecar"], reviewers, now)
    return {}


def run_scores(case: Json, now: int) -> Result:
    scores.check_scores(case["scores"])
    return scores.score_of(case["scores"], case["agent"], now)._asdict()


def run_attributes(case: Json, now: int) -> Result:
    attributes.check_attributes(case["attributes"])
    return {
        "attributes": attributes.attributes_of(case["attributes"], case["agent"]),
        "groups": attributes.groups_of(case["attributes"], case["principal"]),
    }


def run_policy(case: Json, now: int) -> Result:
    policy.read_policy(case["policy"])
    return {"digest": policy.policy_digest(case["policy"])}


def run_revocation(case: Json, now: int) -> Result:
    links = link.parse_chain(case["chain"])
    if "grant" in case:
        links.append(link.parse_link(case["grant"], is_root=False))
    revocation.check_revoked(case["revoked"], links)
    return {}


def run_target(case: Json, now: int) -> Result:
    target.check_target(case["target"])
    return {}


def run_message(case: Json, now: int) -> Result:
    if "server" in case:
        messages, tools = mcp.read_server(case["server"])
        return {"messages": messages, "tools": tools}
    body = bytes.fromhex(case["hex"]) if "hex" in case else case.get("body", "").encode()
    operations, batch = message.read_message(
        case["protocol"], case["method"], case["path"], case.get("query", ""), case["headers"], body, case.get("skillMember")
    )
    return {"operations": operations, "batch": batch}


def run_decision(case: Json, now: int) -> Result:
    request, scopes = case["request"], case["scopes"]
    between = [f"spiffe://company.com/agent/between/b{index}" for index in range(len(scopes) - 2)]
    client = ["spiffe://company.com/client/alice"] if len(scopes) > 1 else []
    agents = [*client, *between, request["caller"]]
    policy.read_policy(case["policy"])
    if "caveats" in case:
        caveats.check_list(case["caveats"])
    if case.get("attributes") is not None:
        attributes.check_attributes(case["attributes"])
    names = ("direction", "proof", "headers", "body", "labels", "released", "upgrade")
    given = {name: request[name] for name in names if name in request}
    found = decision.decide(
        case["policy"],
        decision.Request(
            now=now,
            callee=request["callee"],
            method=request["method"],
            target=request["target"],
            principal=request["principal"],
            links=[decision.Held(agent, held, now - 60, now + 3600) for agent, held in zip(agents, scopes)],
            caveats=case.get("caveats", []),
            fresh_at=case["freshAt"],
            lists=case.get("lists"),
            scores=case.get("scores"),
            attributes=case.get("attributes"),
            granted=case.get("granted", False),
            # Some link id; what it is, only a chain says.
            task="A" * 43,
            purpose="find out",
            **given,
        ),
    )
    return vars(found)


def run_audit(case: Json, now: int) -> Result:
    data = "".join(line + "\n" for line in case["lines"]).encode("utf-8", "surrogatepass")
    complete = case["complete"]["seq"] if "complete" in case else None
    audit.verify_log(data, keys.Issuers(case["issuers"]), complete)
    return {}


RUNNERS: dict[str, Callable[[Json, int], Result]] = {
    "keys.json": run_keys,
    "jws.json": run_jws,
    "spiffe.json": run_spiffe,
    "scope.json": run_scope,
    "chain.json": run_chain,
    "caveats.json": run_caveats,
    "wit.json": run_wit,
    "handshake.json": run_handshake,
    "request-proof.json": run_request_proof,
    "roles.json": run_roles,
    "bundle.json": run_bundle,
    "timestamp.json": run_timestamp,
    "approval.json": run_approval,
    "quarantine.json": run_quarantine,
    "scores.json": run_scores,
    "attributes.json": run_attributes,
    "revocation.json": run_revocation,
    "target.json": run_target,
    "policy.json": run_policy,
    "message.json": run_message,
    "decision.json": run_decision,
    "audit.json": run_audit,
}


def run_case(runner: Callable[[Json, int], Result], case: Json) -> Result:
    """The outcome of one case. A crash is an outcome that no vector expects."""
    try:
        return {"reason": "ok", **runner(case["input"], case["now"])}
    except audit.LogFault as fault:
        return {"reason": fault.reason, "line": fault.line}
    except Fault as fault:
        return {"reason": fault.reason}
    except Exception as error:
        return {"reason": f"crash: {type(error).__name__}: {error}"}


def run_file(name: str, path: Path) -> tuple[int, int]:
    """Passed and failed cases of one file."""
    try:
        cases = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        print(f"{name}: not readable: {type(error).__name__}")
        return 0, 1
    if type(cases) is not list or not cases:
        print(f"{name}: no cases")
        return 0, 1
    failed = 0
    for number, case in enumerate(cases):
        got = run_case(RUNNERS[name], case)
        expect = case.get("expect") or {"reason": "(no expectation)"}
        if "reason" not in expect or any(got.get(member) != value for member, value in expect.items()):
            failed += 1
            print(f"{name}[{number}]: {case.get('comment')}: expected {json.dumps(expect)}, got {json.dumps(got)}")
    return len(cases) - failed, failed


def main(folder: Path) -> int:
    """Runs all files that ought to be there, and complains about any that nobody knows."""
    passed = failed = 0
    unknown = {path.name for path in folder.glob("*.json")} - RUNNERS.keys()
    for name in sorted(unknown):
        print(f"{name}: nothing here runs it")
        failed += 1
    for name in RUNNERS:
        good, bad = run_file(name, folder / name)
        passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else VECTORS))
