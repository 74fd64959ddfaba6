"""SPEC section 13: a policy, read strictly. Every fault is policy_invalid."""

import hashlib
import re
from typing import Any

from . import scope
from .encoding import b64u_encode, jcs
from .fault import Fault
from .members import MAX_TIME, Check, Member, array, check_object, integer, is_flag, is_object, is_principal, one_of
from .spiffe import is_id_pattern
from .target import is_canonical_path

MAX_NESTING = 64

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TYPE = re.compile(r"[A-Za-z0-9._-]+")
_METHOD = re.compile(r"[A-Z]+")
_TEMPLATE = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")


def _matching(form: re.Pattern[str]) -> Check:
    return lambda value: type(value) is str and form.fullmatch(value) is not None


def _is_path(value: Any) -> bool:
    return type(value) is str and value.startswith("/")


def _is_any_text(value: Any) -> bool:
    return type(value) is str


def _is_true(value: Any) -> bool:
    return value is True


def _list(most: int) -> Check:
    return lambda value: type(value) is list and len(value) <= most


def _ids(least: int) -> Check:
    return array(is_id_pattern, least, 10_000, distinct=True)


_is_name = _matching(_NAME)
_is_seconds = integer(1, MAX_TIME)
_patterns = array(scope.is_pattern, 1, 1024, distinct=True)

_POLICY = [
    Member("revision", _is_name),
    Member("limits", is_object),
    Member("scopeSets", is_object),
    Member("lists", is_object),
    Member("routes", _list(4096)),
    Member("rules", _list(4096)),
    Member("demands", _list(1024), optional=True),
]
_LIMITS = [
    Member("maxDepth", integer(1, 8)),
    Member("linkTtlSeconds", _is_seconds),
    Member("callbacks", is_flag),
    Member("humanRoot", is_flag),
    Member("sessionSeconds", _is_seconds),
    Member("maxStalenessSeconds", _is_seconds, optional=True),
    Member("maxTaskAgeSeconds", _is_seconds, optional=True),
]
_LISTS = [
    Member("allowAgents", _ids(0)),
    Member("blockAgents", _ids(0)),
    Member("blockPrincipals", array(is_principal, 0, 10_000, distinct=True)),
]
_ROUTE = [
    Member("name", _is_name),
    Member("callees", _ids(1), optional=True),
    Member("methods", array(_matching(_METHOD), 1, 64, distinct=True), optional=True),
    Member("path", _is_path),
    Member("scopes", array(_is_any_text, 1, 64, distinct=True)),
]
_RULE = [
    Member("name", _is_name),
    Member("effect", one_of("allow", "deny")),
    Member("callers", _ids(1), optional=True),
    Member("callerTypes", array(_matching(_TYPE), 1, 1024, distinct=True), optional=True),
    Member("callees", _ids(1), optional=True),
    Member("principals", array(is_principal, 1, 10_000, distinct=True), optional=True),
    Member("scopes", _patterns, optional=True),
    Member("routes", array(_is_name, 1, 10_000, distinct=True), optional=True),
]
_DEMAND = [
    Member("scopes", _patterns),
    Member("approval", _is_true, optional=True),
    Member("minScore", integer(1, 1000), optional=True),
    Member("maxStalenessSeconds", _is_seconds, optional=True),
]


def policy_digest(policy: Any) -> str:
    """SHA-256 over the canonical form."""
    return b64u_encode(hashlib.sha256(jcs(policy)).digest())


def _require(holds: bool) -> None:
    if not holds:
        raise Fault("policy_invalid")


def _check_named(entries: list[Any], members: list[Member]) -> None:
    for entry in entries:
        check_object(entry, members)
    names = [entry["name"] for entry in entries if "name" in entry]
    _require(len(set(names)) == len(names))


def _check_route(route: dict[str, Any]) -> None:
    """A path that no canonical path could match would be a route that silently isn't there."""
    path: str = route["path"]
    is_open = path.endswith("/*")
    fixed = path[:-2] if is_open else path
    segments = fixed.split("/")
    names = [found.group(1) for segment in segments if (found := _TEMPLATE.fullmatch(segment))]
    plain = "/".join("x" if _TEMPLATE.fullmatch(segment) else segment for segment in segments)
    _require(not any(char in plain for char in "{}*") and len(set(names)) == len(names))
    _require(is_canonical_path(plain + "/x" if is_open else plain))
    for template in route["scopes"]:
        _require(all(name in names for name in _TEMPLATE.findall(template)))
        _require(scope.is_literal(_TEMPLATE.sub("x", template)))


def _check_sets(sets: dict[str, Any]) -> None:
    """Names are literals, members patterns or names; no circle, and no more than 64 within each other."""
    for name, members in sets.items():
        _require(scope.is_literal(name) and array(_is_any_text, 1, 1024, distinct=True)(members))
        _require(all(member in sets or scope.is_pattern(member) for member in members))
    heights: dict[str, int] = {}
    for storey in range(MAX_NESTING):
        # One more each time: the sets all of whose members stand on what is there already.
        for name in [name for name in sets if name not in heights]:
            if all(heights.get(member, storey + 1) <= storey for member in sets[name] if member in sets):
                heights[name] = storey + 1
    _require(heights.keys() == sets.keys())


def read_lists(value: Any) -> None:
    """Lists, of a policy or beside it in the bundle."""
    try:
        check_object(value, _LISTS)
    except Fault:
        raise Fault("policy_invalid") from None


def read_policy(policy: dict[str, Any]) -> None:
    """Raises policy_invalid for everything that section 13 does not describe."""
    try:
        check_object(policy, _POLICY)
        check_object(policy["limits"], _LIMITS)
        _check_named(policy["routes"], _ROUTE)
        _check_named(policy["rules"], _RULE)
        _check_named(policy.get("demands", []), _DEMAND)
    except Fault:
        raise Fault("policy_invalid") from None
    read_lists(policy["lists"])
    _check_sets(policy["scopeSets"])
    for route in policy["routes"]:
        _check_route(route)
    known = {route["name"] for route in policy["routes"]}
    _require(all(known.issuperset(rule.get("routes", [])) for rule in policy["rules"]))
    _require(all(len(demand) > 1 for demand in policy.get("demands", [])))
