"""SPEC section 12: the canonical target. What isn't canonical is refused, never rewritten."""

import re
from typing import Any

from .fault import Fault

_PLAIN = r"A-Za-z0-9\-._~!$&'()*+,=:@"
_PLAIN_OCTET = re.compile(f"[{_PLAIN}]")
_SEGMENT = re.compile(f"(?:[{_PLAIN}]|%[0-9A-F]{{2}})+")
_PERCENT = re.compile(r"%([0-9A-F]{2})")
_QUERY = re.compile(r"[!-~]*")


def _may_be_encoded(octet: int) -> bool:
    """%HH is only for an octet that is no plain one, nor / \\ ; % nor a control character."""
    char = chr(octet)
    return not (_PLAIN_OCTET.fullmatch(char) or char in "/\\;%" or octet < 0x20 or octet == 0x7F)


def _is_canonical_segment(segment: str) -> bool:
    if segment in (".", "..") or not _SEGMENT.fullmatch(segment):
        return False
    return all(_may_be_encoded(int(code, 16)) for code in _PERCENT.findall(segment))


def is_canonical_path(value: Any) -> bool:
    """`/`, or `/` and segments joined by `/`, with a trailing slash or without."""
    if type(value) is not str or not value.startswith("/"):
        return False
    if value == "/":
        return True
    inner = value[1:-1] if value.endswith("/") else value[1:]
    return all(_is_canonical_segment(segment) for segment in inner.split("/"))


def check_target(target: str) -> None:
    """path [ "?" query ]"""
    path, _, query = target.partition("?")
    if not is_canonical_path(path) or not _QUERY.fullmatch(query) or "#" in query or "\\" in query:
        raise Fault("target_not_canonical")
