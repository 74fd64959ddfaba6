"""SPEC section 13.1: protocol, body and what stands around it to operations."""

from typing import Any

from .a2a import DEFAULT_SKILL, read_a2a, read_a2a_rest
from .mcp import read_mcp
from .media import read_headers

Operation = dict[str, Any]


def read_message(
    protocol: str, method: str, path: str, query: str, headers: list[str], body: bytes, skill_member: str | None
) -> tuple[list[Operation], bool]:
    """Operations without what is empty, and whether they came in an array. `path` is what is below the route."""
    given = read_headers(headers)
    member = skill_member or DEFAULT_SKILL
    if protocol == "mcp":
        operations, batch = read_mcp(method, body, given)
    elif protocol == "a2a":
        operations, batch = read_a2a(method, path, body, given, member)
    else:
        operations, batch = read_a2a_rest(method, path, query, body, given, member)
    told = [
        {name: value for name, value in operation.items() if value is not None and value != "" and value != {}}
        for operation in operations
    ]
    return told, batch


def path_below(route: str, path: str) -> str:
    """What is below a route's path."""
    fixed = route[:-2] if route.endswith("/*") else route
    depth = len(fixed.split("/")) if fixed else 1
    return "".join(f"/{segment}" for segment in path.split("/")[depth:])
