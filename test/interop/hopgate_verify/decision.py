"""SPEC section 13: the decision over a chain that has verified."""

import re
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from . import content
from .attributes import attributes_of, groups_of
from .caveats import Hop, check_all_hold
from .environment import Unknown, headers_of, query_of
from .fault import Fault
from .message import path_below, read_message
from .rules import Asked, Ruled, apply_rules, condition_over, is_covered, matches_any
from .scope import is_literal, is_segment
from .scores import score_of
from .spiffe import parse_agent_id
from .target import check_target

Policy = dict[str, Any]
Operation = dict[str, Any]

DEFAULT_STALENESS = 3600
SKEW = 30

_TEMPLATE = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")
_UPKEEP = frozenset(
    "initialize notifications/initialized notifications/cancelled ping tools/list http:GET http:DELETE".split()
)
_OBSERVED = frozenset(
    "message_type message_encoding message_malformed message_ambiguous operation_unmatched mcp_tool_changed route_value "
    "delegation_denied scope_missing scope_too_deep scope_too_long scope_foreign rule_denied rule_unmatched rule_error "
    "quarantined score_too_low approval_required content_denied content_type content_too_large content_unreadable "
    "opa_denied opa_undefined opa_result opa_timeout opa_unavailable".split()
)


class Held(NamedTuple):
    """One link of the chain: whom it empowers, to what, from when until when."""

    delegatee: str
    scope: list[str]
    iat: int = 0
    exp: int = 0


class Request(NamedTuple):
    """What is asked, and on whose authority: the links are those of the chain, the leaf last. None of them is a rebind."""

    now: int
    callee: str
    method: str
    target: str
    principal: str
    links: list[Held]
    caveats: list[dict[str, Any]]
    fresh_at: int
    lists: dict[str, list[str]] | None = None
    scores: dict[str, Any] | None = None
    attributes: dict[str, Any] | None = None
    granted: bool = False
    direction: str = "inbound"
    proof: str = "session"
    headers: list[str] = []
    body: str | None = None
    labels: list[str] = []
    released: bool = False
    upgrade: bool = False
    task: str = ""
    purpose: str = ""

    @property
    def caller(self) -> str:
        """Whom the leaf names."""
        return self.links[-1].delegatee

    @property
    def agents(self) -> list[str]:
        return [link.delegatee for link in self.links]

    @property
    def keeps_aside(self) -> bool:
        """Only the callee's sidecar does, until a reviewer has released it."""
        return self.direction == "inbound" and not self.released


@dataclass(frozen=True)
class Decision:
    """A permit, or the code of a denial, with what the record would say."""

    reason: str
    rule: str = ""
    required: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    shadow: list[dict[str, str]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    content: list[dict[str, str]] = field(default_factory=list)
    observed: str = ""
    # Scopes for which a human has to have approved.
    approval: list[str] = field(default_factory=list)
    quarantine: bool = False


class Route(NamedTuple):
    """A route that fits, with the values of its templates and what it requires whatever the body says."""

    rule: dict[str, Any]
    values: dict[str, str]
    base: list[str]

    @property
    def protocol(self) -> str:
        return self.rule.get("protocol", "http")


def _check_lists(lists: dict[str, list[str]], request: Request) -> None:
    if request.principal in lists["blockPrincipals"]:
        raise Fault("list_blocked")
    for agent in [*request.agents, request.callee]:
        if matches_any(lists["blockAgents"], agent):
            raise Fault("list_blocked")
        if lists["allowAgents"] and not matches_any(lists["allowAgents"], agent):
            raise Fault("list_not_allowed")


def _fit_path(pattern: str, path: str) -> dict[str, str] | None:
    """The values of the templates; None where the path doesn't fit."""
    is_open = pattern.endswith("/*")
    wanted = (pattern[:-2] if is_open else pattern).split("/")
    given = path.split("/")
    if len(given) <= len(wanted) if is_open else len(given) != len(wanted):
        return None
    values: dict[str, str] = {}
    for want, segment in zip(wanted, given):
        template = _TEMPLATE.fullmatch(want)
        if template and segment:
            values[template.group(1)] = segment
        elif template or want != segment:
            return None
    return values


def _fold_path(path: str) -> str:
    lower = path.lower()
    return lower[:-1] if len(lower) > 1 and lower.endswith("/") else lower


def _fit_folded(pattern: str, loose: str) -> bool:
    parts = (part if _TEMPLATE.fullmatch(part) else part.lower() for part in pattern.split("/"))
    return _fit_path("/".join(parts), loose) is not None


def _find_route(routes: list[dict[str, Any]], request: Request, path: str) -> Route:
    """The first that fits."""
    asked = [
        route
        for route in routes
        if ("callees" not in route or matches_any(route["callees"], request.callee))
        and ("methods" not in route or request.method in route["methods"])
    ]
    for place, route in enumerate(asked):
        values = _fit_path(route["path"], path)
        if values is None:
            continue
        loose = _fold_path(path)
        is_wide = route["path"].endswith("/*") or "{" in route["path"]
        if is_wide and any(_fit_folded(one["path"], loose) for one in asked[:place]):
            raise Fault("route_unmatched")
        if not all(is_segment(value) for value in values.values()):
            raise Fault("route_value")
        if "server" in route:
            values["server"] = route["server"]
        base = _filled(route["scopes"], values)
        if not base and "operations" not in route:
            raise Fault("route_value")
        return Route(route, values, base)
    raise Fault("route_unmatched")


def _filled(templates: list[str], values: dict[str, str]) -> list[str]:
    scopes = []
    for template in templates:
        if not all(is_segment(values.get(name, "")) for name in _TEMPLATE.findall(template)):
            raise Fault("route_value")
        scopes.append(_TEMPLATE.sub(lambda found: values[found.group(1)], template))
    if not all(is_literal(scope) for scope in scopes):
        raise Fault("route_value")
    return scopes


def _is_end(agent: str, ids: list[str] | None, types: list[str] | None, domains: list[str] | None) -> bool:
    found = parse_agent_id(agent)
    return (
        (ids is None or matches_any(ids, agent))
        and (types is None or found.type in types)
        and (domains is None or found.trust_domain in domains)
    )


def _check_delegations(delegation: dict[str, Any] | None, request: Request) -> None:
    if delegation is None:
        return
    agents = [*request.agents, *([request.callee] if request.granted else [])]
    for giver, taker in zip(agents, agents[1:]):
        if giver == taker:
            continue
        crosses = parse_agent_id(giver).trust_domain != parse_agent_id(taker).trust_domain
        effects = {
            rule["effect"]
            for rule in delegation["rules"]
            if _is_end(giver, rule.get("from"), rule.get("fromTypes"), rule.get("fromDomains"))
            and _is_end(taker, rule.get("to"), rule.get("toTypes"), rule.get("toDomains"))
            and ("crossing" not in rule or crosses)
        }
        if "deny" in effects or (not effects and delegation["otherwise"] == "deny"):
            raise Fault("delegation_denied")


def _name_of(operation: Operation) -> str:
    return next((operation[name] for name in ("tool", "prompt", "resource", "skill") if operation.get(name)), "")


def _is_method(pattern: str, method: str) -> bool:
    if pattern.endswith("/*"):
        return method.startswith(pattern[:-1]) and len(method) >= len(pattern)
    return pattern == method


def _is_name(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else pattern == name


def _operation_scopes(route: Route, operation: Operation) -> list[str]:
    name = _name_of(operation)
    for rule in route.rule.get("operations", []):
        if "methods" in rule and not any(_is_method(method, operation["method"]) for method in rule["methods"]):
            continue
        if "names" in rule and not (name and any(_is_name(given, name) for given in rule["names"])):
            continue
        values = {key: operation.get(key, "") for key in ("method", "tool", "prompt", "skill")}
        return _filled(rule["scopes"], {**route.values, **values})
    raise Fault("operation_unmatched")


def _values(request: Request, route: Route, labels: list[str], required: list[str], operation: Operation) -> Any:
    """The environment of conditions."""
    path, _, query = request.target.partition("?")

    def agent(name: str) -> dict[str, Any]:
        found = parse_agent_id(name)
        return {
            "id": name,
            "type": found.type,
            "domain": found.trust_domain,
            "attributes": attributes_of(request.attributes, name),
            "score": score_of(request.scores, name, request.now).score if request.scores else 0,
        }

    is_mcp = route.protocol == "mcp"
    mcp = operation if is_mcp else {}
    a2a = {} if is_mcp else operation
    parsed = [parse_agent_id(name) for name in request.agents]
    return {
        "caller": agent(request.caller),
        "callee": agent(request.callee),
        "principal": {"id": request.principal, "issuer": "", "groups": groups_of(request.attributes, request.principal)},
        "chain": {
            "depth": len(request.links),
            "agents": request.agents,
            "types": [each.type for each in parsed],
            "domains": [each.trust_domain for each in parsed],
            "scopes": request.links[-1].scope,
            "task": request.task,
            "purpose": request.purpose,
            "age": request.now - request.links[0].iat,
            "remaining": min(link.exp for link in request.links) - request.now,
        },
        "request": {
            "direction": request.direction,
            "method": request.method,
            "path": path,
            "query": query_of(query),
            "route": route.rule["name"],
            # This implementation is a callee: nothing leaves by it.
            "destination": "",
            "protocol": route.protocol,
            "scopes": required,
            "headers": headers_of(request.headers),
            "size": Unknown() if request.body is None else len(request.body.encode()),
        },
        "mcp": {
            "server": route.rule.get("server", ""),
            **{name: mcp.get(name, "") for name in ("method", "kind", "tool", "prompt", "resource")},
            "arguments": mcp.get("arguments", {}),
        },
        "a2a": {name: a2a.get(name, "") for name in ("method", "kind", "skill", "taskId", "contextId")},
        "data": {"labels": labels},
    }


class Demands(NamedTuple):
    """The strictest of those that apply."""

    approval: list[str]
    min_score: int
    staleness: float
    depth: float
    ttl: float
    same_domain: bool
    request_proof: bool


def _demands(policy: Policy, required: list[str], labels: list[str]) -> Demands:
    applying = []
    approval: set[str] = set()
    for demand in policy.get("demands", []):
        if "labels" in demand and not set(demand["labels"]) & set(labels):
            continue
        about = [scope for scope in required if "scopes" not in demand or is_covered(demand["scopes"], scope)]
        if about:
            applying.append(demand)
            approval |= set(about) if "approval" in demand else set()
    none = float("inf")
    return Demands(
        [scope for scope in required if scope in approval],
        max([0, *(demand.get("minScore", 0) for demand in applying)]),
        min([none, *(demand.get("maxStalenessSeconds", none) for demand in applying)]),
        min([none, *(demand.get("maxDepth", none) for demand in applying)]),
        min([none, *(demand.get("maxLinkTtlSeconds", none) for demand in applying)]),
        any("sameDomain" in demand for demand in applying),
        any("requestProof" in demand for demand in applying),
    )


def _check_shape(demands: Demands, request: Request) -> None:
    if len(request.links) > demands.depth:
        raise Fault("scope_too_deep")
    home = parse_agent_id(request.callee).trust_domain
    for link in request.links:
        if link.exp - link.iat > demands.ttl:
            raise Fault("scope_too_long")
        if demands.same_domain and parse_agent_id(link.delegatee).trust_domain != home:
            raise Fault("scope_foreign")


def _check_caveats(request: Request, route: Route, operation: Operation | None) -> None:
    """All but their times, which come later."""
    tool = (operation or {}).get("tool") or (operation or {}).get("skill")
    upkeep = route.protocol == "mcp" and operation is not None and operation["method"] in _UPKEEP
    path = request.target.partition("?")[0]
    lasting = [caveat for caveat in request.caveats if caveat["type"] != "before"]
    check_all_hold(lasting, Hop(request.now, request.callee, path, tool, lambda _: 0, upkeep))


def _decide_item(policy: Policy, request: Request, route: Route, labels: list[str], operation: Operation | None) -> Decision:
    """One operation, or the request where no message is read."""
    known = Decision("ok", required=route.base, labels=labels)
    try:
        if operation is not None:
            required = list(dict.fromkeys([*route.base, *_operation_scopes(route, operation)]))
            if not required:
                raise Fault("route_value")
            known = replace(known, required=required)
        for scope in known.required:
            if not all(is_covered(link.scope, scope) for link in request.links):
                raise Fault("scope_missing")
        values = _values(request, route, labels, known.required, operation or {})
        holds = condition_over(values, request.now)
        asked = Asked(request.agents, request.callee, request.principal, route.rule["name"], known.required, holds)
        ruled: Ruled = apply_rules(policy["rules"], asked)
        known = replace(known, rule=ruled.rule, flags=ruled.flags, shadow=ruled.shadow)
        if ruled.reason != "ok":
            raise Fault(ruled.reason)
        _check_caveats(request, route, operation)
        demands = _demands(policy, known.required, labels)
        _check_shape(demands, request)
        if ruled.quarantine and request.keeps_aside:
            raise Fault("quarantined")
        return replace(known, approval=known.required if ruled.approve else demands.approval)
    except Fault as fault:
        return replace(known, reason=fault.reason)


def _read_operations(request: Request, route: Route) -> list[Operation] | None:
    """Those of the message; None where the route's protocol has none."""
    if route.protocol in ("http", "websocket"):
        return None
    path, _, query = request.target.partition("?")
    below = path_below(route.rule["path"], path)
    body = (request.body or "").encode()
    member = route.rule.get("skillMember")
    return read_message(route.protocol, request.method, below, query, request.headers, body, member)[0]


def _decide_items(policy: Policy, request: Request, route: Route, labels: list[str]) -> Decision:
    """Item by item, the first denial first, but for those that would be kept aside."""
    try:
        operations = _read_operations(request, route)
    except Fault as fault:
        return Decision(fault.reason, required=route.base)
    if operations is None:
        return _decide_item(policy, request, route, labels, None)
    items = [_decide_item(policy, request, route, labels, operation) for operation in operations]
    denied = [item for item in items if item.reason not in ("ok", "quarantined")]
    denied += [item for item in items if item.reason == "quarantined"]
    if denied:
        return denied[0]
    required = list(dict.fromkeys(scope for item in items for scope in item.required))
    approval = {scope for item in items for scope in item.approval}
    return replace(
        items[0],
        required=required,
        flags=list(dict.fromkeys(flag for item in items for flag in item.flags)),
        shadow=[dict(note) for note in dict.fromkeys(tuple(note.items()) for item in items for note in item.shadow)],
        approval=[scope for scope in required if scope in approval],
    )


def _check_time(request: Request) -> None:
    if any(caveat["type"] == "before" and request.now >= caveat["time"] for caveat in request.caveats):
        raise Fault("caveat_before")
    if request.now >= min(link.exp for link in request.links) + SKEW:
        raise Fault("link_expired")


def _check_caller(policy: Policy, request: Request, route: Route, required: list[str]) -> None:
    """Who has no sidecar needs a way in, whatever rules allow."""
    if request.direction == "outbound" or request.proof != "request":
        return
    caller, name = request.caller, route.rule["name"]
    for way in policy.get("withoutSidecar", []):
        if (
            ("callers" not in way or matches_any(way["callers"], caller))
            and ("callerTypes" not in way or parse_agent_id(caller).type in way["callerTypes"])
            and ("callees" not in way or matches_any(way["callees"], request.callee))
            and ("routes" not in way or name in way["routes"])
            and ("scopes" not in way or all(is_covered(way["scopes"], scope) for scope in required))
        ):
            return
    raise Fault("request_proof_not_allowed")


def _check_proof(policy: Policy, request: Request, route: Route, required: list[str], demands: Demands) -> None:
    _check_caller(policy, request, route, required)
    if demands.request_proof and request.direction == "inbound" and request.proof == "session":
        raise Fault("request_proof_missing")


def _check_age(policy: Policy, request: Request, demanded: float) -> None:
    """Trust from the future: the clock was set back, and its age means nothing."""
    allowed = min(policy["limits"].get("maxStalenessSeconds", DEFAULT_STALENESS), demanded)
    if request.now - request.fresh_at > allowed or request.fresh_at > request.now + SKEW:
        raise Fault("bundle_stale")


def _check_scores(request: Request, least: int) -> None:
    if least and any(score_of(request.scores, link.delegatee, request.now).score < least for link in request.links):
        raise Fault("score_too_low")


def _look_at(policy: Policy, request: Request, route: Route) -> tuple[list[dict[str, str]], str]:
    """What was found in a body that is held, and the code of what stops it."""
    rules = content.applying(policy.get("content", []), "request", request.callee, route.rule["name"])
    if route.protocol == "websocket":
        answers = content.applying(policy.get("content", []), "response", request.callee, route.rule["name"])
        return [], "content_unreadable" if any(map(content.stops, [*rules, *answers])) else ""
    if not content.holds(rules):
        return [], ""
    if not request.keeps_aside:
        rules = [rule for rule in rules if rule["action"] != "quarantine"]
    kinds = [value for name, value in zip(request.headers[::2], request.headers[1::2]) if name.lower() == "content-type"]
    found, stop = content.inspect(rules, (request.body or "").encode(), kinds[-1] if kinds else "")
    notes = [
        {
            "action": "shadow" if "shadow" in one.rule else one.rule["action"],
            "pattern": one.pattern,
            "rule": one.rule["name"],
        }
        for one in found
    ]
    if stop is None:
        return notes, ""
    return notes, "quarantined" if stop.rule["action"] == "quarantine" else stop.reason


def _settle(policy: Policy, request: Request, route: Route, decided: Decision, labels: list[str]) -> Decision:
    """What follows once policy has no objection: time, demands, content, approval."""
    demands = _demands(policy, decided.required, labels)
    try:
        _check_time(request)
        _check_proof(policy, request, route, decided.required, demands)
        _check_age(policy, request, demands.staleness)
        _check_scores(request, demands.min_score)
        notes, stop = _look_at(policy, request, route)
        decided = replace(decided, content=notes)
        if stop:
            raise Fault(stop)
        if decided.approval and request.direction == "inbound":
            raise Fault("approval_required")
        return decided
    except Fault as fault:
        return replace(decided, reason=fault.reason)


def _observe(policy: Policy, request: Request, route: Route, decided: Decision) -> Decision:
    """What policy alone denies is let through where its route is observed only."""
    if decided.reason not in _OBSERVED or request.now >= route.rule.get("observeUntil", 0):
        return decided
    try:
        operations = _read_operations(request, route)
    except Fault:
        operations = None
    try:
        _check_time(request)
        demands = _demands(policy, decided.required, decided.labels)
        _check_proof(policy, request, route, decided.required, demands)
        for operation in operations or [None]:
            _check_caveats(request, route, operation)
        _check_age(policy, request, float("inf"))
    except Fault as fault:
        return replace(decided, reason=fault.reason)
    return replace(decided, reason="ok", observed=decided.reason)


def decide(policy: Policy, request: Request) -> Decision:
    """In the order of section 13."""
    try:
        check_target(request.target)
        for lists in [policy["lists"], *([request.lists] if request.lists else [])]:
            _check_lists(lists, request)
        route = _find_route(policy["routes"], request, request.target.partition("?")[0])
    except Fault as fault:
        return Decision(fault.reason)
    if (route.protocol == "websocket") != request.upgrade:
        return Decision("http_upgrade")
    try:
        _check_caller(policy, request, route, route.base)
    except Fault as fault:
        return Decision(fault.reason, required=route.base)
    labels = list(dict.fromkeys([*request.labels, *route.rule.get("labels", {}).get("request", [])]))
    try:
        _check_delegations(policy.get("delegation"), request)
    except Fault as fault:
        return _observe(policy, request, route, Decision(fault.reason, required=route.base, labels=labels))
    decided = _decide_items(policy, request, route, labels)
    if decided.reason == "ok":
        decided = _settle(policy, request, route, decided, labels)
    return _observe(policy, request, route, decided)
