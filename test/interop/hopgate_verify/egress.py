"""SPEC section 13.6: what may leave the mesh, as a policy lists it. Who decides there is the caller's own sidecar, which this is not."""

import ipaddress
import re
from typing import Any

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_LAST = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_PRIVATE = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")]
_UNIQUE_LOCAL = re.compile(r"f[cd][0-9a-f]{2}(?::[0-9a-f]{1,4}){0,6}::/([1-9][0-9]{0,2})")
_DOTTED = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}/(?:0|[1-9][0-9]?)")
_OF_REQUESTS = frozenset("protocol server operations serverRequests tools skillMember maxMessageBytes".split())


def is_destination(value: Any) -> bool:
    """`host:port`, in one spelling, and no name of this machine."""
    if type(value) is not str or value.count(":") != 1:
        return False
    host, port = value.split(":")
    *labels, last = host.split(".")
    is_name = len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels) and _LAST.fullmatch(last)
    is_local = last == "localhost" or host == "localhost.localdomain"
    return bool(is_name) and not is_local and _PORT.fullmatch(port) is not None and int(port) <= 65535


def is_private_range(value: Any) -> bool:
    """Within RFC 1918, RFC 6598 or RFC 4193, and no bit behind the prefix."""
    if type(value) is not str:
        return False
    if unique := _UNIQUE_LOCAL.fullmatch(value):
        groups = value.split("::")[0].count(":") + 1
        return 8 <= int(unique.group(1)) <= 128 and groups * 16 < int(unique.group(1)) + 16
    if not _DOTTED.fullmatch(value):
        return False
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        return False
    return any(network.subnet_of(private) for private in _PRIVATE)


def _is_whole(rule: dict[str, Any]) -> bool:
    if rule["mode"] == "tunnel":
        return rule["path"] == "/" and rule.get("methods") == ["CONNECT"] and not rule.keys() & _OF_REQUESTS
    return "inside" not in rule and not {"CONNECT", "TRACE"} & set(rule.get("methods", []))


def is_whole(rules: list[dict[str, Any]]) -> bool:
    """Each fits its mode, and all of one destination say the same of how it is reached."""
    first: dict[str, dict[str, Any]] = {}
    for rule in rules:
        earlier = first.setdefault(rule["destination"], rule)
        if not _is_whole(rule):
            return False
        if earlier is rule:
            continue
        if rule["mode"] != earlier["mode"] or rule["mode"] == "tunnel":
            return False
        if rule.get("allowPrivate", []) != earlier.get("allowPrivate", []):
            return False
    return True
