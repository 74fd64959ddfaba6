"""SPEC section 13, as far as it can be done without the policy document's form: scope, template values, lifetime."""

from typing import Any

from .fault import Fault
from .scope import is_segment, list_covers


def check_scopes(required: list[str], links: list[list[str]]) -> None:
    """Each required scope is covered by each link."""
    if not all(list_covers(granted, required) for granted in links):
        raise Fault("scope_missing")


def check_route_value(value: str) -> None:
    """What a route template puts into a scope is exactly one scope segment."""
    if not is_segment(value):
        raise Fault("route_value")


def permit_ends(links: list[dict[str, Any]], session: int, bundle_exp: int) -> int:
    """The earliest of: exp of a link, session deadline, `before` caveats, bundle exp."""
    before = [c["time"] for claims in links for c in claims.get("caveats", []) if c["type"] == "before"]
    return min([session, bundle_exp, *(claims["exp"] for claims in links), *before])
