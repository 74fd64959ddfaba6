"""SPEC section 13.3: content rules over a body that is held, with the patterns of policies alone.

Detectors are an implementation's own, and this one has none. Text is read as far as the specification asks for it.
"""

import json
import re
import urllib.parse
from typing import Any, NamedTuple

from .fault import Fault
from .patterns import compile_pattern
from .spiffe import matches

_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s";]+)', re.IGNORECASE)
_UTF8 = ("utf-8", "utf8", "us-ascii", "ascii")
_LATIN1 = ("iso-8859-1", "latin1", "windows-1252")
_ORDER = {"content_type": 1, "content_too_large": 1, "content_unreadable": 2, "content_denied": 3}


class Finding(NamedTuple):
    rule: dict[str, Any]
    reason: str
    pattern: str


def applying(rules: list[dict[str, Any]], direction: str, callee: str, route: str) -> list[dict[str, Any]]:
    return [
        rule
        for rule in rules
        if direction in rule["directions"]
        and route in rule.get("routes", [route])
        and ("callees" not in rule or any(matches(pattern, callee) for pattern in rule["callees"]))
    ]


def stops(rule: dict[str, Any]) -> bool:
    return rule["action"] != "flag" and "shadow" not in rule


def holds(rules: list[dict[str, Any]]) -> bool:
    """Whether nothing goes on before it was looked at."""
    looks = ("detectors", "patterns", "maxBytes")
    return any(stops(rule) and rule["mode"] == "hold" and any(name in rule for name in looks) for rule in rules)


def _strings(value: Any) -> list[str]:
    if type(value) is str:
        return [value]
    if type(value) is dict:
        return [*value, *(text for entry in value.values() for text in _strings(entry))]
    return [text for entry in value for text in _strings(entry)] if type(value) is list else []


def _text(body: bytes, media: str, charset: str) -> str:
    """Raises content_unreadable."""
    is_json = media == "" or media.endswith("/json") or media.endswith("+json")
    is_plain = not is_json and media != "text/event-stream"
    if charset not in _UTF8 and not (is_plain and charset in _LATIN1):
        raise Fault("content_unreadable")
    try:
        text = body.decode("utf-8" if charset in _UTF8 else "latin-1")
    except UnicodeDecodeError:
        raise Fault("content_unreadable") from None
    if media == "application/x-www-form-urlencoded":
        return "\n".join(part for pair in urllib.parse.parse_qsl(text, keep_blank_values=True) for part in pair)
    if is_json:
        try:
            return "\n".join(_strings(json.loads(text)))
        except ValueError:
            return text
    return text


def _look(rule: dict[str, Any], body: bytes, content_type: str) -> list[Finding]:
    media = content_type.partition(";")[0].strip().lower()
    found = []
    types = rule.get("types")
    family = media.partition("/")[0] + "/*"
    if types is not None and body and not {media, family, "*/*"} & set(types):
        found.append(Finding(rule, "content_type", "type"))
    if len(body) > rule.get("maxBytes", len(body)):
        found.append(Finding(rule, "content_too_large", "size"))
    if "patterns" not in rule or not body:
        return found
    charset = _CHARSET.search(content_type)
    try:
        text = _text(body, media, charset.group(1).lower() if charset else "utf-8")
    except Fault as fault:
        return [*found, Finding(rule, fault.reason, "reading")]
    hits = [name for name, pattern in rule["patterns"].items() if compile_pattern(pattern).search(text)]
    return [*found, *(Finding(rule, "content_denied", f"patterns/{name}") for name in hits)]


def inspect(rules: list[dict[str, Any]], body: bytes, content_type: str) -> tuple[list[Finding], Finding | None]:
    """Everything that was found, and what stops the body."""
    found = [finding for rule in rules for finding in _look(rule, body, content_type)]
    place = {rule["name"]: index for index, rule in enumerate(rules)}
    stopping = [finding for finding in found if stops(finding.rule)]
    stopping.sort(
        key=lambda one: (_ORDER[one.reason], one.rule["action"] != "deny", place[one.rule["name"]], one.pattern)
    )
    return found, stopping[0] if stopping else None
