"""SPEC section 13.2: what conditions can read, and of which type."""

import urllib.parse
from typing import Any, NamedTuple

Type = Any  # a name, or ("list", T), ("map", T)

TEXTS: Type = ("list", "string")
_AGENT: dict[str, Type] = {
    "id": "string",
    "type": "string",
    "domain": "string",
    "attributes": ("map", "string"),
    "score": "int",
}
_OPERATION = ("method", "kind")
ENVIRONMENT: dict[str, dict[str, Type]] = {
    "caller": _AGENT,
    "callee": _AGENT,
    "principal": {"id": "string", "issuer": "string", "groups": TEXTS},
    "chain": {
        "depth": "int",
        "agents": TEXTS,
        "types": TEXTS,
        "domains": TEXTS,
        "scopes": TEXTS,
        "task": "string",
        "purpose": "string",
        "age": "int",
        "remaining": "int",
    },
    "request": {
        "direction": "string",
        "method": "string",
        "path": "string",
        "query": ("map", "string"),
        "route": "string",
        "destination": "string",
        "protocol": "string",
        "scopes": TEXTS,
        "headers": ("map", "string"),
        "size": "int",
    },
    "mcp": {
        **{name: "string" for name in ("server", *_OPERATION, "tool", "prompt", "resource")},
        "arguments": ("map", "dyn"),
    },
    "a2a": {name: "string" for name in (*_OPERATION, "skill", "taskId", "contextId")},
    "data": {"labels": TEXTS},
}
_READABLE = frozenset(
    "accept accept-language content-encoding content-language content-length content-type host mcp-protocol-version "
    "a2a-version a2a-extensions user-agent".split()
)


class Unknown(NamedTuple):
    """Stands for an attribute that has no value here."""


def query_of(query: str) -> dict[str, str] | Unknown:
    values: dict[str, str] = {}
    for part in query.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        try:
            name, value = (
                _percent_decoded(text.replace("+", " ")) for text in (name, value)
            )
        except ValueError:
            return Unknown()
        if name in values:
            return Unknown()
        values[name] = value
    return values


def _percent_decoded(text: str) -> str:
    for at, char in enumerate(text):
        if char == "%" and not _is_hex(text[at + 1 : at + 3]):
            raise ValueError("a lone percent sign")
    return urllib.parse.unquote_to_bytes(text).decode("utf-8")


def _is_hex(text: str) -> bool:
    return len(text) == 2 and all(char in "0123456789abcdefABCDEF" for char in text)


def headers_of(flat: list[str]) -> dict[str, str] | Unknown:
    readable: dict[str, str] = {}
    for sent, value in zip(flat[::2], flat[1::2]):
        name = sent.lower().replace("_", "-")
        if name not in _READABLE and not name.startswith("x-"):
            continue
        if name in readable or name != sent.lower():
            return Unknown()
        readable[name] = value
    return readable

