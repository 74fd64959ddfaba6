"""SPEC section 13.1: MCP over streamable HTTP, what clients and servers send."""

import base64
import hashlib
from typing import Any

from .encoding import b64u_encode, jcs
from .fault import Fault
from .json_rpc import Envelope, Envelopes, read_envelopes
from .media import Headers, check_media
from .message_json import Names, fold_name, read_answer, read_body, read_name, read_object

Operation = dict[str, Any]

_NAMED = {
    "tools/call": ("name", "tool"),
    "prompts/get": ("name", "prompt"),
    "resources/read": ("uri", "resource"),
    "resources/subscribe": ("uri", "resource"),
    "resources/unsubscribe": ("uri", "resource"),
    "tasks/get": ("taskId", "taskId"),
    "tasks/result": ("taskId", "taskId"),
    "tasks/cancel": ("taskId", "taskId"),
    "tasks/update": ("taskId", "taskId"),
}
_PLAIN = (
    "initialize ping server/discover tools/list prompts/list resources/list resources/templates/list tasks/list "
    "logging/setLevel notifications/initialized notifications/cancelled notifications/progress "
    "notifications/roots/list_changed notifications/tasks/status"
).split()
_KNOWN = [*_NAMED, *_PLAIN, "completion/complete", "subscriptions/listen"]
_SPELLINGS = {fold_name(method) for method in _KNOWN}
_MEMBERS = {"completion/complete": ["ref"], "subscriptions/listen": ["notifications"]}
_REVISION = "io.modelcontextprotocol/protocolVersion"
_BATCH_REVISION = "2025-03-26"


def _arguments(params: dict[str, Any], all_strings: bool) -> Operation:
    if "arguments" not in params:
        return {}
    given = read_object(params["arguments"])
    if all_strings and not all(type(value) is str for value in given.values()):
        raise Fault("message_malformed")
    return {"arguments": given}


def _completion(ref: Any) -> Operation:
    Names("type", "name", "uri").check(read_object(ref))
    if ref.get("type") == "ref/prompt":
        return {"prompt": read_name(ref.get("name"))}
    if ref.get("type") == "ref/resource":
        return {"resource": read_name(ref.get("uri"))}
    raise Fault("message_malformed")


def _subscription(notifications: Any) -> list[Operation]:
    Names("resourceSubscriptions").check(read_object(notifications))
    uris = notifications.get("resourceSubscriptions", [])
    if type(uris) is not list or len(uris) > 100:
        raise Fault("message_malformed")
    return [{}, *({"resource": read_name(uri)} for uri in uris)]


def _read_params(method: str, params: dict[str, Any] | None) -> list[Operation]:
    """What an operation of this method names; more than one for a subscription."""
    if method not in _KNOWN and fold_name(method) in _SPELLINGS:
        raise Fault("message_ambiguous")
    is_plain = method in _PLAIN or method not in _KNOWN
    if params is None:
        if is_plain:
            return [{}]
        raise Fault("message_malformed")
    member, what = _NAMED.get(method, (None, ""))
    members = _MEMBERS.get(method, [member] if member else [])
    if what in ("tool", "prompt"):
        members = [*members, "arguments"]
    Names("_meta", "inputResponses", *members).check(params)
    if is_plain:
        return [{}]
    if method == "completion/complete":
        return [_completion(params.get("ref"))]
    if method == "subscriptions/listen":
        return _subscription(params.get("notifications"))
    named = {what: read_name(params.get(member))}
    return [{**named, **_arguments(params, what == "prompt")} if what in ("tool", "prompt") else named]


def _operations(item: Envelope) -> list[Operation]:
    if item.kind == "response":
        if item.id is None:
            raise Fault("message_malformed")
        return [{"kind": "response", "method": "response", "id": item.id}]
    found = [
        {"kind": item.kind, "method": item.method, **named, "id": item.id}
        for named in _read_params(item.method, item.params)
    ]
    if "inputResponses" in (item.params or {}):
        read_object(item.params["inputResponses"])
        found.append({"kind": "response", "method": "response"})
    return found


def _decoded(value: str) -> str | None:
    if not (value.startswith("=?") and value.endswith("?=")):
        return value
    if not value.startswith("=?base64?"):
        return None
    text = value[len("=?base64?") : -2]
    try:
        octets = base64.b64decode(text, validate=True)
        return octets.decode("utf-8") if base64.b64encode(octets).decode() == text else None
    except ValueError:
        return None


def _holds(value: Any, text: str) -> bool:
    """Whether a value within the arguments is this one."""
    if type(value) is dict:
        return any(_holds(entry, text) for entry in value.values())
    if type(value) is list:
        return any(_holds(entry, text) for entry in value)
    if type(value) is bool:
        return text == ("true" if value else "false")
    if type(value) in (int, float):
        try:
            return float(text) == value
        except ValueError:
            return False
    return value is not None and value == text


def _check_headers(item: Envelope, first: Operation, headers: Headers) -> None:
    given = headers.single
    params = item.params or {}
    if item.kind != "response" and "_meta" in params:
        Names(_REVISION).check(read_object(params["_meta"]))
        claimed = params["_meta"].get(_REVISION)
        if _REVISION in params["_meta"] and type(claimed) is not str:
            raise Fault("message_malformed")
        if claimed is not None and given.get("mcp-protocol-version", claimed) != claimed:
            raise Fault("message_ambiguous")
    if given.get("mcp-method", first["method"]) != first["method"]:
        raise Fault("message_ambiguous")
    if "mcp-name" in given:
        name = next((first[what] for what in ("tool", "prompt", "resource", "taskId") if first.get(what)), "")
        if not name or _decoded(given["mcp-name"]) != name:
            raise Fault("message_ambiguous")
    for param in headers.params:
        text = _decoded(param)
        if text is None or not _holds(first.get("arguments", {}), text):
            raise Fault("message_ambiguous")


def _check_batch(found: Envelopes, headers: Headers) -> None:
    if headers.single.get("mcp-protocol-version", _BATCH_REVISION) != _BATCH_REVISION:
        raise Fault("message_malformed")
    if "mcp-method" in headers.single or "mcp-name" in headers.single or headers.params:
        raise Fault("message_ambiguous")
    if any(item.method == "initialize" for item in found.items):
        raise Fault("message_malformed")


def read_mcp(method: str, body: bytes, headers: Headers) -> tuple[list[Operation], bool]:
    if method in ("GET", "DELETE") and not body:
        return [{"kind": "http", "method": f"http:{method}"}], False
    if method != "POST":
        raise Fault("message_malformed")
    check_media(headers)
    found = read_envelopes(read_body(body))
    if found.batch:
        _check_batch(found, headers)
    operations: list[Operation] = []
    for item in found.items:
        these = _operations(item)
        _check_headers(item, these[0], headers)
        operations += these
    return operations, found.batch


def _embedded(item: Envelope) -> list[dict[str, str]]:
    """Requests that stand within an answer."""
    if item.error is not None:
        Names("code", "data").check(item.error)
        data = item.error.get("data")
        if type(data) is dict:
            Names("elicitations").check(data)
        asks = item.error.get("code") == -32042 or (type(data) is dict and "elicitations" in data)
        return [{"kind": "request", "method": "elicitation/create"}] if asks else []
    if type(item.result) is not dict:
        return []
    Names("inputRequests", "tools").check(item.result)
    requests = read_object(item.result.get("inputRequests") or {})
    for request in requests.values():
        Names("method").check(read_object(request))
    return [{"kind": "request", "method": read_name(request.get("method"))} for request in requests.values()]


def _tools(result: Any) -> list[dict[str, str]]:
    if type(result) is not dict or "tools" not in result:
        return []
    if type(result["tools"]) is not list or len(result["tools"]) > 1000:
        raise Fault("response_malformed")
    tools = []
    for tool in result["tools"]:
        Names("name").check(read_object(tool))
        digest = b64u_encode(hashlib.sha256(jcs(tool)).digest())
        tools.append({"name": read_name(tool.get("name")), "digest": digest})
    if len({tool["name"] for tool in tools}) != len(tools):
        raise Fault("response_malformed")
    return tools


def read_server(text: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Messages of a server, and the tools that they list."""
    if text == "":
        return [], []
    messages: list[dict[str, str]] = []
    tools: list[dict[str, str]] = []
    try:
        for item in read_envelopes(read_answer(text)).items:
            if item.kind != "response":
                messages.append({"kind": item.kind, "method": item.method})
                continue
            messages += [{"kind": "response"}, *_embedded(item)]
            tools += _tools(item.result)
    except Fault:
        raise Fault("response_malformed") from None
    return messages, tools
