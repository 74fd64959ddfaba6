"""SPEC section 13: a policy, and the decision over a chain that has verified."""

import re
from typing import Any, NamedTuple

from .caveats import Hop, check_all_hold
from .fault import Fault
from .scope import covers, is_literal, is_segment
from .scores import score_of
from .spiffe import matches, parse_agent_id
from .target import check_target

Policy = dict[str, Any]

DEFAULT_STALENESS = 3600
SKEW = 30

_TEMPLATE = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")


class Held(NamedTuple):
    """One link of the chain: whom it empowers, to what."""

    delegatee: str
    scope: list[str]


class Request(NamedTuple):
    """What is asked, and on whose authority: the links are those of the chain, the leaf last."""

    now: int
    callee: str
    method: str
    target: str
    tool: str | None
    principal: str
    links: list[Held]
    caveats: list[dict[str, Any]]
    fresh_at: int
    lists: dict[str, list[str]] | None = None
    scores: dict[str, Any] | None = None

    @property
    def caller(self) -> str:
        """Whom the leaf names."""
        return self.links[-1].delegatee


class Decision(NamedTuple):
    """A permit, or the code of a denial with the scopes that were required, once a route had said so."""

    reason: str
    rule: str = ""
    required: list[str] = []


def _matches_any(patterns: list[str], agent: str) -> bool:
    return any(matches(pattern, agent) for pattern in patterns)


def _check_lists(lists: dict[str, list[str]], request: Request) -> None:
    if request.principal in lists["blockPrincipals"]:
        raise Fault("list_blocked")
    for agent in [*(link.delegatee for link in request.links), request.callee]:
        if _matches_any(lists["blockAgents"], agent):
            raise Fault("list_blocked")
        if lists["allowAgents"] and not _matches_any(lists["allowAgents"], agent):
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


def _find_route(routes: list[dict[str, Any]], request: Request, path: str) -> tuple[str, list[str]]:
    """Name and required scopes of the first route that fits."""
    for route in routes:
        if "callees" in route and not _matches_any(route["callees"], request.callee):
            continue
        if "methods" in route and request.method not in route["methods"]:
            continue
        values = _fit_path(route["path"], path)
        if values is not None:
            return route["name"], _required(route["scopes"], values)
    raise Fault("route_unmatched")


def _required(templates: list[str], values: dict[str, str]) -> list[str]:
    if not all(is_segment(value) for value in values.values()):
        raise Fault("route_value")
    required = [_TEMPLATE.sub(lambda found: values[found.group(1)], template) for template in templates]
    if not required or not all(is_literal(scope) for scope in required):
        raise Fault("route_value")
    return required


def _is_covered(patterns: list[str], scope: str) -> bool:
    return any(covers(pattern, scope) for pattern in patterns)


def _rule_matches(rule: dict[str, Any], request: Request, route: str, required: list[str]) -> bool:
    is_allow = rule["effect"] == "allow"
    acting = [request.caller] if is_allow else [link.delegatee for link in request.links]
    every = all if is_allow else any
    selectors = {
        "callers": lambda given: any(_matches_any(given, agent) for agent in acting),
        "callerTypes": lambda given: any(parse_agent_id(agent).type in given for agent in acting),
        "callees": lambda given: _matches_any(given, request.callee),
        "principals": lambda given: request.principal in given,
        "routes": lambda given: route in given,
        "scopes": lambda given: every(_is_covered(given, scope) for scope in required),
    }
    return all(holds(rule[name]) for name, holds in selectors.items() if name in rule)


def _find_rule(rules: list[dict[str, Any]], request: Request, route: str, required: list[str]) -> str:
    """The name of the first allow that matches. Deny overrides; no allow is a denial."""
    matching = [rule for rule in rules if _rule_matches(rule, request, route, required)]
    if any(rule["effect"] == "deny" for rule in matching):
        raise Fault("rule_denied")
    if not matching:
        raise Fault("rule_unmatched")
    return matching[0]["name"]


def _check_demands(policy: Policy, request: Request, required: list[str]) -> None:
    """What the required scopes demand besides: the strictest of each."""
    demands = [
        demand
        for demand in policy.get("demands", [])
        if any(_is_covered(demand["scopes"], scope) for scope in required)
    ]
    allowed = policy["limits"].get("maxStalenessSeconds", DEFAULT_STALENESS)
    allowed = min([allowed, *(demand.get("maxStalenessSeconds", allowed) for demand in demands)])
    # Trust from the future: the clock was set back, and its age means nothing.
    if request.now - request.fresh_at > allowed or request.fresh_at > request.now + SKEW:
        raise Fault("bundle_stale")
    least = max([0, *(demand.get("minScore", 0) for demand in demands)])
    if any(score_of(request.scores, link.delegatee, request.now).score < least for link in request.links):
        raise Fault("score_too_low")
    if any("approval" in demand for demand in demands):
        raise Fault("approval_required")


def decide(policy: Policy, request: Request) -> Decision:
    """Target, lists, route, scope, rules, caveats, demands: in this order."""
    required: list[str] = []
    try:
        check_target(request.target)
        for lists in [policy["lists"], *([request.lists] if request.lists else [])]:
            _check_lists(lists, request)
        path = request.target.partition("?")[0]
        route, required = _find_route(policy["routes"], request, path)
        for scope in required:
            if not all(_is_covered(link.scope, scope) for link in request.links):
                raise Fault("scope_missing")
        rule = _find_rule(policy["rules"], request, route, required)
        check_all_hold(request.caveats, Hop(request.now, request.callee, path, request.tool, lambda _: 0))
        _check_demands(policy, request, required)
    except Fault as fault:
        return Decision(fault.reason, required=required)
    return Decision("ok", rule, required)
