"""SPEC section 13.1: what stands around a body."""

import re
from typing import NamedTuple

from .fault import Fault

_READ = ("content-type", "content-encoding", "mcp-protocol-version", "mcp-method", "mcp-name")
_MEDIA = re.compile(r'([a-z0-9.+-]+/[a-z0-9.+-]+)[ \t]*(?:;[ \t]*charset=("?)([a-z0-9._-]+)\2)?')
JSON_TYPES = ("application/json",)
A2A_REST_TYPES = ("application/json", "application/a2a+json")


class Headers(NamedTuple):
    """Those that matter, by lower-case name; `params` are the values of `Mcp-Param-…`."""

    single: dict[str, str]
    params: list[str]


def read_headers(flat: list[str]) -> Headers:
    """Out of name, value, name, value …"""
    found: dict[str, str] = {}
    for sent, value in zip(flat[::2], flat[1::2]):
        lower = sent.lower()
        name = lower.replace("_", "-")
        if name not in _READ and not name.startswith("mcp-param-"):
            continue
        if lower != name or name in found:
            raise Fault("message_ambiguous")
        found[name] = value
    params = [value for name, value in found.items() if name.startswith("mcp-param-")]
    return Headers({name: value for name, value in found.items() if name in _READ}, params)


def check_media(headers: Headers, types: tuple[str, ...] = JSON_TYPES) -> None:
    coding = headers.single.get("content-encoding")
    if coding is not None and coding.lower() != "identity":
        raise Fault("message_encoding")
    media = _MEDIA.fullmatch(headers.single.get("content-type", "").lower())
    if not media or media.group(1) not in types:
        raise Fault("message_type")
    if media.group(3) not in (None, "utf-8"):
        raise Fault("message_encoding")
