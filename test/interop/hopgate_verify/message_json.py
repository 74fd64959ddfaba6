"""SPEC section 13.1: JSON of bodies, and names as readers see them that don't heed case."""

import math
from typing import Any

from .encoding import _INTEGER, _NUMBER, MAX_INTEGER, _Parser
from .fault import Fault

_REQUEST = {
    "json_utf8": "message_ambiguous",  # within a string: a lone surrogate
    "json_syntax": "message_malformed",
    "json_number": "message_ambiguous",
    "json_depth": "message_malformed",
    "json_duplicate_member": "message_ambiguous",
}


def fold(name: str) -> str:
    """Equal for names that differ in case alone."""
    return "".join(char.casefold() for char in name)


def fold_name(name: str) -> str:
    """Equal for names that one reader or another takes for the same."""
    return fold(name).replace("_", "").replace("-", "")


class _BodyParser(_Parser):
    """Numbers of every kind that all readers agree on; deeper; and names that no two readers tell apart differently."""

    max_depth = 64
    strict = True

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.room = max(8192, len(text.encode("utf-16-le")) / 2 / 16)

    def _open(self) -> None:
        self.room -= 1
        if self.strict and self.room < 0:
            raise Fault("json_depth")

    def _number(self) -> int | float:
        found = _NUMBER.match(self.text, self.at)
        if not found:
            raise Fault("json_syntax")
        digits = found.group()
        value = float(digits)
        if _INTEGER.fullmatch(digits) and (not self.strict or abs(int(digits)) <= MAX_INTEGER):
            self.at = found.end()
            return int(digits) if abs(int(digits)) <= MAX_INTEGER else self._finite(value)
        if self.strict and (_INTEGER.fullmatch(digits) or _is_lost(digits, value)):
            raise Fault("json_number")
        self.at = found.end()
        return self._finite(value)

    @staticmethod
    def _finite(value: float) -> float:
        if not math.isfinite(value):
            raise Fault("json_number")
        return value

    def _member_name(self, name: str, members: dict[str, Any], folded: set[str]) -> None:
        super()._member_name(name, members, folded)
        if not self.strict:
            return
        if name == "__proto__" or "\0" in name or fold(name) in folded:
            raise Fault("json_duplicate_member")
        folded.add(fold(name))


class _AnswerParser(_BodyParser):
    strict = False


def _is_lost(digits: str, value: float) -> bool:
    """A negative zero, or what was not zero as it was written."""
    mantissa = digits.lower().partition("e")[0]
    return value == 0 and (digits.startswith("-") or any(char in "123456789" for char in mantissa))


def read_body(data: bytes) -> Any:
    """The body of a request: one JSON value."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Fault("message_encoding") from None
    if text.startswith("\ufeff"):
        raise Fault("message_encoding")
    try:
        return _BodyParser(text).document()
    except Fault as fault:
        raise Fault(_REQUEST[fault.reason]) from None


def read_answer(text: str) -> Any:
    """What a server sends."""
    try:
        if text.startswith("\ufeff"):
            raise Fault("json_utf8")
        return _AnswerParser(text).document()
    except Fault:
        raise Fault("response_malformed") from None


class Names:
    """Names that are read, and others that some reader would take for them."""

    def __init__(self, *names: str) -> None:
        self.exact = frozenset(names)
        self.folded = frozenset(map(fold_name, names))

    def check(self, value: dict[str, Any]) -> None:
        for name in value:
            if name not in self.exact and fold_name(name) in self.folded:
                raise Fault("message_ambiguous")


def read_name(value: Any) -> str:
    """A name that decides something."""
    if type(value) is not str or value == "":
        raise Fault("message_malformed")
    if any(char < " " or char == "\x7f" for char in value):
        raise Fault("message_ambiguous")
    return value


def read_optional_name(value: Any) -> str:
    return "" if value is None or value == "" else read_name(value)


def read_optional_object(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    return read_object(value)


def read_object(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise Fault("message_malformed")
    return value
