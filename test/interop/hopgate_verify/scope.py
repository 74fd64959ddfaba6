"""SPEC section 5: scope patterns, scope lists and what covers what."""

import re
from typing import Any

from .fault import Fault

_SEGMENT = re.compile(r"[A-Za-z0-9._/-]+")


def is_segment(value: Any) -> bool:
    """One segment: its parts between slashes are not empty, `.` or `..`."""
    if type(value) is not str or not _SEGMENT.fullmatch(value):
        return False
    return all(part not in ("", ".", "..") for part in value.split("/"))


def is_literal(value: Any) -> bool:
    """Segments joined by `:`, at most 256 octets."""
    return type(value) is str and len(value) <= 256 and all(is_segment(part) for part in value.split(":"))


def is_pattern(value: Any) -> bool:
    """literal, literal ":*", or literal ":" segment "*"."""
    if type(value) is not str or len(value) > 256:
        return False
    if value.endswith(":*"):
        return is_literal(value[:-2])
    if value.endswith("*"):
        return ":" in value and is_literal(value[:-1])
    return is_literal(value)


def covers(parent: str, child: str) -> bool:
    """Whether one parent pattern covers one child pattern; both forms are already checked."""
    if not parent.endswith("*"):
        return parent == child
    if parent.endswith(":*"):
        return child.startswith(parent[:-1])
    same_length = parent.count(":") == child.count(":")
    return same_length and not child.endswith(":*") and child.startswith(parent[:-1])


def list_covers(parents: list[str], children: list[str]) -> bool:
    """Each child pattern is covered by one parent pattern."""
    return all(any(covers(parent, child) for parent in parents) for child in children)


def check_list(value: list[Any]) -> bool:
    """A scope list: 1-64 distinct patterns. An empty one is never "all"."""
    if not value:
        raise Fault("scope_empty")
    if len(value) > 64 or not all(is_pattern(item) for item in value) or len(set(value)) != len(value):
        raise Fault("scope_invalid")
    return True


def is_scope_list(value: Any) -> bool:
    """For member tables: an array, then the list's own reasons."""
    return type(value) is list and check_list(value)
