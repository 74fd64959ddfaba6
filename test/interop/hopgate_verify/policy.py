"""SPEC section 13: a policy, read strictly. Every fault is policy_invalid."""

import hashlib
import re
from typing import Any

import re2

from . import conditions, egress, scope
from .a2a import TABLE as _A2A
from .encoding import b64u_encode, jcs
from .fault import Fault
from .members import (
    MAX_TIME,
    Check,
    Member,
    array,
    check_object,
    integer,
    is_digest,
    is_flag,
    is_object,
    is_principal,
    one_of,
)
from .patterns import compile_pattern
from .spiffe import is_id_pattern, is_trust_domain
from .target import is_canonical_path

MAX_NESTING = 64
MAX_RULES = 16_384
MAX_MESSAGE = 16_777_216

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TYPE = re.compile(r"[A-Za-z0-9._-]+")
_METHOD = re.compile(r"[A-Z]+")
_TEMPLATE = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_METHOD_NAME = re.compile(r"[A-Za-z0-9_$:.-]+(?:/[A-Za-z0-9_$.-]+)*(?:/\*)?")
_OPERATION_NAME = re.compile(r"[!-~]{1,256}")
_PATTERN_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/(?:\*|[a-z0-9][a-z0-9!#$&^_.+-]*)")


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

_domains = array(is_trust_domain, 1, 1024, distinct=True)
_types = array(_matching(_TYPE), 1, 1024, distinct=True)
_routes = array(_is_name, 1, MAX_RULES, distinct=True)
_templates = array(_is_any_text, 0, 64, distinct=True)
_is_octets = integer(1, MAX_MESSAGE)


def _text(most: int) -> Check:
    """Characters as UTF-16 counts them."""
    return lambda value: type(value) is str and 0 < len(value.encode("utf-16-le")) <= 2 * most


def _labels(least: int) -> Check:
    return array(_matching(_LABEL), least, 64, distinct=True)


def _is_approved(value: Any) -> bool:
    if type(value) is not dict or len(value) > 4096:
        return False
    return all(_text(256)(name) and is_digest(digest) for name, digest in value.items())


def _is_patterns(value: Any) -> bool:
    return type(value) is dict and 1 <= len(value) <= 256 and all(_text(4096)(text) for text in value.values())


_POLICY = [
    Member("revision", _is_name),
    Member("limits", is_object),
    Member("scopeSets", is_object),
    Member("lists", is_object),
    Member("routes", _list(MAX_RULES)),
    Member("egress", _list(4096), optional=True),
    Member("rules", _list(MAX_RULES)),
    Member("demands", _list(1024), optional=True),
    Member("delegation", is_object, optional=True),
    Member("content", _list(1024), optional=True),
    Member("decisionPoints", _list(256), optional=True),
    Member("withoutSidecar", _list(1024), optional=True),
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
    Member("scopes", _templates),
    Member("protocol", one_of("http", "mcp", "a2a", "a2a-rest", "websocket"), optional=True),
    Member("server", _text(256), optional=True),
    Member("operations", _list(1024), optional=True),
    Member("serverRequests", array(_text(256), 1, 64, distinct=True), optional=True),
    Member("tools", is_object, optional=True),
    Member("skillMember", _matching(re.compile(r"[!-~]{1,128}")), optional=True),
    Member("maxMessageBytes", _is_octets, optional=True),
    Member("labels", is_object, optional=True),
    Member("observeUntil", _is_seconds, optional=True),
]
_EGRESS = [
    *(member for member in _ROUTE if member.name not in ("callees", "observeUntil")),
    Member("destination", egress.is_destination),
    Member("mode", one_of("api", "tunnel")),
    Member("inside", one_of("tls", "any"), optional=True),
    Member("allowPrivate", array(egress.is_private_range, 1, 16, distinct=True), optional=True),
]
_OPERATION = [
    Member("methods", array(_text(256), 1, 64, distinct=True), optional=True),
    Member("names", array(_text(256), 1, 1024, distinct=True), optional=True),
    Member("scopes", _templates),
]
_TOOLS = [
    Member("filter", is_flag),
    Member("approved", _is_approved),
    Member("changed", one_of("flag", "deny")),
    Member("unlisted", one_of("allow", "flag", "deny")),
]
_ROUTE_LABELS = [Member("request", _labels(0)), Member("response", _labels(0))]
_RULE = [
    Member("name", _is_name),
    Member("effect", one_of("allow", "deny", "approve", "quarantine", "flag")),
    Member("callers", _ids(1), optional=True),
    Member("callerTypes", _types, optional=True),
    Member("callees", _ids(1), optional=True),
    Member("principals", array(is_principal, 1, 10_000, distinct=True), optional=True),
    Member("scopes", _patterns, optional=True),
    Member("routes", _routes, optional=True),
    Member("when", _text(4096), optional=True),
    Member("shadow", _is_true, optional=True),
]
_DEMANDED = [
    Member("approval", _is_true, optional=True),
    Member("minScore", integer(1, 1000), optional=True),
    Member("maxStalenessSeconds", _is_seconds, optional=True),
    Member("maxDepth", integer(1, 8), optional=True),
    Member("maxLinkTtlSeconds", _is_seconds, optional=True),
    Member("sameDomain", _is_true, optional=True),
    Member("requestProof", _is_true, optional=True),
]
_DEMAND = [
    Member("scopes", _patterns, optional=True),
    Member("labels", _labels(1), optional=True),
    *_DEMANDED,
]
_DELEGATION = [Member("otherwise", one_of("allow", "deny")), Member("rules", _list(4096))]
_EDGE = [
    Member("name", _is_name),
    Member("effect", one_of("allow", "deny")),
    Member("from", _ids(1), optional=True),
    Member("fromTypes", _types, optional=True),
    Member("fromDomains", _domains, optional=True),
    Member("to", _ids(1), optional=True),
    Member("toTypes", _types, optional=True),
    Member("toDomains", _domains, optional=True),
    Member("crossing", _is_true, optional=True),
]
_CONTENT = [
    Member("name", _is_name),
    Member("directions", array(one_of("request", "response"), 1, 2, distinct=True)),
    Member("callees", _ids(1), optional=True),
    Member("routes", _routes, optional=True),
    Member("detectors", array(one_of("injection", "secrets", "pii"), 1, 64, distinct=True), optional=True),
    Member("patterns", _is_patterns, optional=True),
    Member("types", array(_text(256), 1, 256, distinct=True), optional=True),
    Member("maxBytes", integer(0), optional=True),
    Member("action", one_of("flag", "deny", "quarantine")),
    Member("mode", one_of("hold", "stream")),
    Member("holdBytes", _is_octets),
    Member("shadow", _is_true, optional=True),
]
_POINT = [
    Member("point", _matching(re.compile(r"[a-z0-9][a-z0-9-]{0,63}"))),
    Member("path", _matching(re.compile(r"(?=.{1,256}\Z)[A-Za-z_][A-Za-z0-9_]*(?:/[A-Za-z_][A-Za-z0-9_]*)*"))),
    Member("callees", _ids(1), optional=True),
    Member("routes", _routes, optional=True),
]
_WAY = [
    Member("callers", _ids(1), optional=True),
    Member("callerTypes", _types, optional=True),
    Member("callees", _ids(1), optional=True),
    Member("scopes", _patterns, optional=True),
    Member("routes", _routes, optional=True),
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


_OF_PROTOCOL = {"mcp": ("method", "tool", "prompt"), "a2a": ("method", "skill"), "a2a-rest": ("method", "skill")}
_OF_MESSAGES = ("server", "operations", "serverRequests", "tools", "skillMember", "maxMessageBytes")
_OLD_METHODS = frozenset(old for _, old, _, _ in _A2A if old)


def _check_path(path: str) -> list[str]:
    """The names of its templates. A path that no canonical path could match would be a route that silently isn't there."""
    is_open = path.endswith("/*")
    fixed = path[:-2] if is_open else path
    segments = fixed.split("/")
    names = [found.group(1) for segment in segments if (found := _TEMPLATE.fullmatch(segment))]
    plain = "/".join("x" if _TEMPLATE.fullmatch(segment) else segment for segment in segments)
    _require(not any(char in plain for char in "{}*") and len(set(names)) == len(names))
    _require(is_canonical_path(plain + "/x" if is_open else plain))
    return names


def _check_templates(templates: list[str], names: list[str]) -> None:
    for template in templates:
        _require(all(name in names for name in _TEMPLATE.findall(template)))
        _require(scope.is_literal(_TEMPLATE.sub("x", template)))


def _check_route(route: dict[str, Any]) -> None:
    protocol = route.get("protocol", "http")
    operations = route.get("operations", [])
    names = _check_path(route["path"])
    known = [*names, *(["server"] if "server" in route else [])]
    message_names = _OF_PROTOCOL.get(protocol, ())
    _require(not set(names) & {*message_names, *(["server"] if "server" in route else [])})
    if protocol in ("http", "websocket"):
        _require(not any(member in route for member in _OF_MESSAGES))
        _require(protocol == "http" or "GET" in route.get("methods", ["GET"]))
    else:
        _require(bool(operations))
        _require(not (route.keys() & ({"skillMember"} if protocol == "mcp" else {"serverRequests", "tools"})))
    _require("server" not in route or scope.is_segment(route["server"]))
    _check_templates(route["scopes"], known)
    _require(bool(route["scopes"] or operations))
    for index, operation in enumerate(operations):
        _check_operation(operation, [*known, *message_names], protocol)
        _require(bool(operation["scopes"] or route["scopes"]))
        takes_all = "methods" not in operation and "names" not in operation
        _require(not takes_all or index + 1 == len(operations))
    for method in route.get("serverRequests", []):
        _require(_METHOD_NAME.fullmatch(method) is not None and not method.endswith("/*"))
    if "tools" in route:
        tools = route["tools"]
        _require(tools["filter"] or tools["unlisted"] != "allow" or bool(tools["approved"]))
    _require("labels" not in route or bool(route["labels"]["request"] or route["labels"]["response"]))


def _check_operation(operation: dict[str, Any], names: list[str], protocol: str) -> None:
    for method in operation.get("methods", []):
        _require(_METHOD_NAME.fullmatch(method) is not None)
        _require(protocol == "mcp" or method not in _OLD_METHODS)
    for name in operation.get("names", []):
        _require(_OPERATION_NAME.fullmatch(name) is not None and "*" not in name[:-1])
    _check_templates(operation["scopes"], names)


def _check_rule(rule: dict[str, Any], routes: dict[str, dict[str, Any]]) -> None:
    _require(not ("shadow" in rule and rule["effect"] == "flag"))
    if "when" not in rule:
        return
    try:
        reads = conditions.reads_of(rule["when"])
    except conditions.Fault:
        raise Fault("policy_invalid") from None
    protocols = {routes[name].get("protocol", "http") for name in rule.get("routes", [])}
    for name in reads if protocols else ():
        if name.startswith("a2a"):
            _require(bool(protocols & {"a2a", "a2a-rest"}))
        elif name.startswith("mcp") and name != "mcp.server":
            _require("mcp" in protocols)


def _check_content(rule: dict[str, Any]) -> None:
    _require(bool(rule.keys() & {"detectors", "patterns", "types", "maxBytes"}))
    _require(not ("shadow" in rule and rule["action"] == "flag"))
    _require(not (rule["action"] == "flag" and rule["mode"] == "hold"))
    _require(rule["action"] != "quarantine" or (rule["mode"] == "hold" and rule["directions"] == ["request"]))
    for name, pattern in rule.get("patterns", {}).items():
        _require(_PATTERN_NAME.fullmatch(name) is not None and _text(2048)(pattern))
        try:
            _require(compile_pattern(pattern).search("") is None)
        except re2.error:
            raise Fault("policy_invalid") from None
    _require(all(kind == "*/*" or _MEDIA_TYPE.fullmatch(kind) for kind in rule.get("types", [])))


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


def _check_all(policy: dict[str, Any]) -> None:
    """Every object of the form that it has to have."""
    check_object(policy, _POLICY)
    check_object(policy["limits"], _LIMITS)
    _check_named(policy["routes"], _ROUTE)
    _check_named(policy.get("egress", []), _EGRESS)
    for route in [*policy["routes"], *policy.get("egress", [])]:
        for operation in route.get("operations", []):
            check_object(operation, _OPERATION)
        if "tools" in route:
            check_object(route["tools"], _TOOLS)
        if "labels" in route:
            check_object(route["labels"], _ROUTE_LABELS)
    _check_named(policy["rules"], _RULE)
    for demand in policy.get("demands", []):
        check_object(demand, _DEMAND)
    if "delegation" in policy:
        check_object(policy["delegation"], _DELEGATION)
        _check_named(policy["delegation"]["rules"], _EDGE)
    _check_named(policy.get("content", []), _CONTENT)
    for point in policy.get("decisionPoints", []):
        check_object(point, _POINT)
    _check_named(policy.get("withoutSidecar", []), [Member("name", _is_name), *_WAY])


def read_policy(policy: dict[str, Any]) -> None:
    """Raises policy_invalid for everything that section 13 does not describe."""
    try:
        _check_all(policy)
    except Fault:
        raise Fault("policy_invalid") from None
    read_lists(policy["lists"])
    _check_sets(policy["scopeSets"])
    leaving = policy.get("egress", [])
    every = [*policy["routes"], *leaving]
    for route in every:
        _check_route(route)
    _require(egress.is_whole(leaving))
    routes = {route["name"]: route for route in every}
    _require(len(routes) == len(every))
    ways = policy.get("withoutSidecar", [])
    _require(all(way.keys() & {member.name for member in _WAY} for way in ways))
    naming = [*policy["rules"], *policy.get("content", []), *policy.get("decisionPoints", []), *ways]
    _require(all(routes.keys() >= set(entry.get("routes", [])) for entry in naming))
    for rule in policy["rules"]:
        _check_rule(rule, routes)
    labels = {label for route in routes.values() for each in route.get("labels", {}).values() for label in each}
    demanded = {member.name for member in _DEMANDED}
    for demand in policy.get("demands", []):
        _require(bool(demand.keys() & {"scopes", "labels"}) and bool(demand.keys() & demanded))
        _require(labels.issuperset(demand.get("labels", [])))
    for edge in policy.get("delegation", {}).get("rules", []):
        domains = edge.get("fromDomains", [])
        _require(not ("crossing" in edge and len(domains) == 1 and domains == edge.get("toDomains")))
    for rule in policy.get("content", []):
        _check_content(rule)
