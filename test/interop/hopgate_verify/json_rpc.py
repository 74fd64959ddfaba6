"""SPEC section 13.1: JSON-RPC 2.0, as closed objects."""

from typing import Any, NamedTuple

from .fault import Fault
from .message_json import read_name

MAX_BATCH = 100


class Envelope(NamedTuple):
    """`kind` is request, notification or response; `id` is None where there is none."""

    kind: str
    id: str | int | None
    method: str = ""
    params: dict[str, Any] | None = None
    result: Any = None
    error: dict[str, Any] | None = None


class Envelopes(NamedTuple):
    items: list[Envelope]
    batch: bool


def _is_id(value: Any) -> bool:
    if type(value) is float:
        return value.is_integer() and abs(value) < 2**53
    return type(value) is str or type(value) is int


def _read_call(value: dict[str, Any]) -> Envelope:
    if value.keys() - {"jsonrpc", "id", "method", "params"}:
        raise Fault("message_malformed")
    method = read_name(value["method"])
    params = value.get("params", {})
    if method == "response" or method.startswith("http:") or type(params) is not dict:
        raise Fault("message_malformed")
    given = params if "params" in value else None
    if "id" not in value:
        return Envelope("notification", None, method, given)
    if not _is_id(value["id"]):
        raise Fault("message_malformed")
    return Envelope("request", value["id"], method, given)


def _read_answer(value: dict[str, Any]) -> Envelope:
    if value.keys() - {"jsonrpc", "id", "result", "error"} or ("result" in value) == ("error" in value):
        raise Fault("message_malformed")
    is_error = "error" in value
    if is_error and type(value["error"]) is not dict:
        raise Fault("message_malformed")
    given = value.get("id")
    if not _is_id(given) and not (is_error and given is None):
        raise Fault("message_malformed")
    return Envelope("response", given, result=value.get("result"), error=value.get("error"))


def _read_item(value: Any) -> Envelope:
    if type(value) is not dict or value.get("jsonrpc") != "2.0":
        raise Fault("message_malformed")
    return _read_call(value) if "method" in value else _read_answer(value)


def read_envelopes(value: Any) -> Envelopes:
    """One, or an array of 1-100."""
    batch = type(value) is list
    values = value if batch else [value]
    if not 1 <= len(values) <= MAX_BATCH:
        raise Fault("message_malformed")
    items = [_read_item(entry) for entry in values]
    # Some readers take 1 and "1" for the same.
    ids = [(item.kind, str(item.id)) for item in items if item.id is not None]
    if len(set(ids)) != len(ids):
        raise Fault("message_ambiguous")
    return Envelopes(items, batch)
