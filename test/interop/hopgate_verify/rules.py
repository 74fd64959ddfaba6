"""SPEC section 13: rules with conditions and effects."""

from collections.abc import Callable
from typing import Any, NamedTuple

from . import conditions
from .scope import covers
from .spiffe import matches, parse_agent_id

Rule = dict[str, Any]


class Asked(NamedTuple):
    """What selectors are held against; `holds` says of a condition whether it does, None where it has no value."""

    agents: list[str]
    callee: str
    principal: str
    route: str
    required: list[str]
    holds: Callable[[str], bool | None]


class Ruled(NamedTuple):
    """`reason` is ok or the code of a denial."""

    reason: str
    rule: str
    flags: list[str]
    shadow: list[dict[str, str]]
    quarantine: bool = False
    approve: bool = False


def matches_any(patterns: list[str], agent: str) -> bool:
    return any(matches(pattern, agent) for pattern in patterns)


def is_covered(patterns: list[str], scope: str) -> bool:
    return any(covers(pattern, scope) for pattern in patterns)


def _selects(rule: Rule, asked: Asked) -> bool:
    is_allow = rule["effect"] == "allow"
    acting = asked.agents[-1:] if is_allow else asked.agents
    every = all if is_allow else any
    selectors: dict[str, Callable[[list[str]], bool]] = {
        "callers": lambda given: any(matches_any(given, agent) for agent in acting),
        "callerTypes": lambda given: any(parse_agent_id(agent).type in given for agent in acting),
        "callees": lambda given: matches_any(given, asked.callee),
        "principals": lambda given: asked.principal in given,
        "routes": lambda given: asked.route in given,
        "scopes": lambda given: every(is_covered(given, scope) for scope in asked.required),
    }
    return all(holds(rule[name]) for name, holds in selectors.items() if name in rule)


def _first(rules: list[Rule], *effects: str) -> Rule | None:
    return next((rule for rule in rules if rule["effect"] in effects), None)


def apply_rules(rules: list[Rule], asked: Asked) -> Ruled:
    """Deny over what fails over quarantine over approve over allow, in whatever order they stand."""
    holding: list[Rule] = []
    failing: list[Rule] = []
    shadow = []
    for rule in rules:
        if not _selects(rule, asked):
            continue
        held = asked.holds(rule["when"]) if "when" in rule else True
        if held is False:
            continue
        if "shadow" in rule:
            shadow.append({"rule": rule["name"], "effect": rule["effect"] if held else "error"})
        else:
            (holding if held else failing).append(rule)
    flags = [rule["name"] for rule in holding if rule["effect"] == "flag"]
    allowed = _first(holding, "allow")
    for reason, found in (
        ("rule_denied", _first(holding, "deny")),
        ("rule_error", _first(failing, "deny", "quarantine", "approve", "flag")),
        ("rule_error", None if allowed else _first(failing, "allow")),
    ):
        if found:
            return Ruled(reason, found["name"], flags, shadow)
    if not allowed:
        return Ruled("rule_unmatched", "", flags, shadow)
    quarantine, approve = _first(holding, "quarantine"), _first(holding, "approve")
    name = (quarantine or approve or allowed)["name"]
    return Ruled("ok", name, flags, shadow, quarantine is not None, approve is not None)


def condition_over(values: dict[str, dict[str, Any]], now: int) -> Callable[[str], bool | None]:
    return lambda text: conditions.evaluate(text, values, now)


