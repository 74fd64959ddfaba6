"""SPEC section 13.1: A2A, both bindings, versions 1.0 and 0.3."""

import re
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from .fault import Fault
from .json_rpc import read_envelopes
from .media import A2A_REST_TYPES, Headers, check_media
from .message_json import Names, fold_name, read_body, read_name, read_object, read_optional_name, read_optional_object

Operation = dict[str, Any]
DEFAULT_SKILL = "skillId"

# Name, name in 0.3, where the parameters of each say what they are about.
TABLE = [
    ("SendMessage", "message/send", "message", "message"),
    ("SendStreamingMessage", "message/stream", "message", "message"),
    ("GetTask", "tasks/get", "id", "id"),
    ("ListTasks", None, "contextId", None),
    ("CancelTask", "tasks/cancel", "cancel", "cancel"),
    ("SubscribeToTask", "tasks/resubscribe", "id", "id"),
    ("CreateTaskPushNotificationConfig", "tasks/pushNotificationConfig/set", "taskId", "taskId"),
    ("GetTaskPushNotificationConfig", "tasks/pushNotificationConfig/get", "taskId", "id"),
    ("ListTaskPushNotificationConfigs", "tasks/pushNotificationConfig/list", "taskId", "id"),
    ("DeleteTaskPushNotificationConfig", "tasks/pushNotificationConfig/delete", "taskId", "id"),
    ("GetExtendedAgentCard", "agent/getAuthenticatedExtendedCard", "nothing", "nothing"),
]
_METHODS = {name: (name, shape) for name, _, shape, _ in TABLE}
_METHODS |= {old: (name, shape) for name, old, _, shape in TABLE if old}
_SPELLINGS = {fold_name(method) for method in _METHODS}
_NAMES = {
    "message": Names("message", "metadata", "configuration"),
    "cancel": Names("id", "metadata"),
    "id": Names("id"),
    "taskId": Names("taskId"),
    "contextId": Names("contextId"),
    "nothing": Names(),
}
# Of 1.0 and of 0.3.
_PUSH = ("taskPushNotificationConfig", "pushNotificationConfig")
_CARDS = ("/.well-known/agent-card.json", "/.well-known/agent.json")


def _skill(*places: Any, member: str) -> str:
    """The one that is named; two different ones are ambiguous."""
    found = []
    for place in places:
        metadata = read_optional_object(place)
        Names(member).check(metadata)
        found.append(read_optional_name(metadata.get(member)))
    named = [skill for skill in found if skill]
    if len(set(named)) > 1:
        raise Fault("message_ambiguous")
    return named[0] if named else ""


def _sent(params: dict[str, Any], member: str) -> Operation:
    message = read_object(params.get("message"))
    Names("taskId", "contextId", "metadata").check(message)
    task = read_optional_name(message.get("taskId"))
    context = read_optional_name(message.get("contextId"))
    configuration = read_optional_object(params.get("configuration"))
    Names(*_PUSH).check(configuration)
    for name in _PUSH:
        push = read_optional_object(configuration.get(name))
        Names("taskId").check(push)
        if read_optional_name(push.get("taskId")) not in ("", task):
            raise Fault("message_ambiguous")
    skill = _skill(params.get("metadata"), message.get("metadata"), member=member)
    return {"skill": skill, "taskId": task, "contextId": context}


def _sent_operations(sent: Operation, params: dict[str, Any]) -> list[Operation]:
    """An address for notifications that a message brings along is created with it."""
    configuration = params.get("configuration")
    if type(configuration) is not dict or all(configuration.get(name) is None for name in _PUSH):
        return [sent]
    again = {name: sent[name] for name in ("taskId", "id") if name in sent}
    return [sent, {"kind": "request", "method": "CreateTaskPushNotificationConfig", **again}]


def _read(shape: str, params: dict[str, Any], member: str) -> Operation:
    _NAMES[shape].check(params)
    if shape == "message":
        return _sent(params, member)
    if shape == "nothing":
        return {}
    if shape == "contextId":
        return {"contextId": read_optional_name(params.get("contextId"))}
    task = {"taskId": read_name(params.get("taskId" if shape == "taskId" else "id"))}
    return {**task, "skill": _skill(params.get("metadata"), member=member)} if shape == "cancel" else task


def _get(body: bytes, path: str) -> Operation:
    if body:
        raise Fault("message_malformed")
    return {"kind": "http", "method": "http:agent-card" if path in _CARDS else "http:GET"}


def read_a2a(method: str, path: str, body: bytes, headers: Headers, member: str) -> tuple[list[Operation], bool]:
    """The JSON-RPC binding."""
    if method == "GET":
        return [_get(body, path)], False
    if method != "POST":
        raise Fault("message_malformed")
    check_media(headers)
    found = read_envelopes(read_body(body))
    operations = []
    for item in found.items:
        if item.kind != "request":
            raise Fault("message_malformed")
        known = _METHODS.get(item.method)
        if known is None and fold_name(item.method) in _SPELLINGS:
            raise Fault("message_ambiguous")
        name, shape = known or (item.method, "")
        if known and item.params is None and shape != "nothing":
            raise Fault("message_malformed")
        named = _read(shape, item.params or {}, member) if known else {}
        called = {"kind": "request", "method": name, **named, "id": item.id}
        operations += _sent_operations(called, item.params or {}) if shape == "message" else [called]
    return operations, found.batch


class _RestPath(NamedTuple):
    method: str
    task: str
    tenant: str | None


_FIXED = {
    "POST message:send": "SendMessage",
    "POST message:stream": "SendStreamingMessage",
    "GET tasks": "ListTasks",
    "GET extendedAgentCard": "GetExtendedAgentCard",
}
_CONFIGS = {
    "POST 3": "CreateTaskPushNotificationConfig",
    "GET 3": "ListTaskPushNotificationConfigs",
    "GET 4": "GetTaskPushNotificationConfig",
    "DELETE 4": "DeleteTaskPushNotificationConfig",
}
_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,=@-]+")
_VERB = re.compile(r"(.*):(cancel|subscribe)")


def _match(http: str, segments: list[str]) -> tuple[str, str] | None:
    if len(segments) == 1:
        found = _FIXED.get(f"{http} {segments[0]}")
        return (found, "") if found else None
    if len(segments) < 2 or segments[0] != "tasks":
        return None
    if len(segments) == 2:
        verb = _VERB.fullmatch(segments[1])
        if not verb:
            return ("GetTask", segments[1]) if http == "GET" else None
        if verb.group(2) == "cancel":
            return ("CancelTask", verb.group(1)) if http == "POST" else None
        return ("SubscribeToTask", verb.group(1)) if http in ("GET", "POST") else None
    found = _CONFIGS.get(f"{http} {len(segments)}") if segments[2] == "pushNotificationConfigs" else None
    return (found, segments[1]) if found else None


def _rest_path(http: str, path: str) -> _RestPath:
    segments = path.split("/")[1:]
    direct = _match(http, segments)
    is_old_card = http == "GET" and path == "/v1/card"
    below = ("GetExtendedAgentCard", "") if is_old_card else _match(http, segments[1:])
    found = direct or below
    if not found:
        raise Fault("message_malformed")
    has_verb = found[0] in ("SendMessage", "SendStreamingMessage", "CancelTask", "SubscribeToTask")
    names = [*segments[:-1], segments[-1].rpartition(":")[0] if has_verb else segments[-1]]
    if (direct and below) or not all(_SEGMENT.fullmatch(name) for name in names):
        raise Fault("message_ambiguous")
    if not direct and segments[0] == "tasks":
        raise Fault("message_ambiguous")
    return _RestPath(*found, None if direct else segments[0])


_IN_QUERY = {
    fold_name(name) for name in "id taskId contextId tenant name parent message request metadata".split()
}


def _decode(text: str) -> str:
    if "+" in text or re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise Fault("message_ambiguous")
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise Fault("message_ambiguous") from None


def _query(query: str, method: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in query.split("&"):
        left, _, right = part.partition("=")
        name = _decode(left)
        if "".join(char for char in fold_name(name) if char.isalnum()) not in _IN_QUERY:
            continue
        if (name != "tenant" and (name != "contextId" or method != "ListTasks")) or name in found:
            raise Fault("message_ambiguous")
        found[name] = _decode(right)
    return found


def _is_again(value: Any, *same: str) -> bool:
    return value is None or value == "" or value in same


def _check_again(body: dict[str, Any], call: _RestPath) -> None:
    """What the body says of the task again."""
    Names("id", "taskId", "name", "parent", "tenant").check(body)
    name = f"tasks/{call.task}"
    is_config = call.method == "CreateTaskPushNotificationConfig"
    given = body.get("name")
    config = re.fullmatch(r"(tasks/[^/]+)/pushNotificationConfigs/[^/]+", given) if type(given) is str else None
    same_name = _is_again(given, name) or (is_config and config is not None and config.group(1) == name)
    same_id = is_config or _is_again(body.get("id"), call.task)
    if not (same_name and same_id and _is_again(body.get("taskId"), call.task) and _is_again(body.get("parent"), name)):
        raise Fault("message_ambiguous")


def _rest_named(call: _RestPath, body: dict[str, Any] | None, member: str) -> Operation:
    if call.method in ("SendMessage", "SendStreamingMessage"):
        if body is None:
            raise Fault("message_malformed")
        Names("tenant", "request").check(body)
        if "request" in body:
            raise Fault("message_ambiguous")
        return _read("message", body, member)
    if body is not None:
        _check_again(body, call)
        Names("metadata").check(body)
        if _skill(body.get("metadata"), member=member):
            raise Fault("message_ambiguous")
    return {"taskId": call.task}


def read_a2a_rest(
    method: str, path: str, query: str, body: bytes, headers: Headers, member: str
) -> tuple[list[Operation], bool]:
    """The HTTP+JSON binding."""
    if method == "GET" and path.startswith("/.well-known/"):
        return [_get(body, path)], False
    call = _rest_path(method, path)
    if method != "POST" and body:
        raise Fault("message_malformed")
    said = _query(query, call.method)
    context = read_optional_name(said.get("contextId"))
    value = None
    if body:
        check_media(headers, A2A_REST_TYPES)
        value = read_body(body)
        if value is not None:
            read_object(value)
    tenants = [call.tenant or "", said.get("tenant", ""), (value or {}).get("tenant") or ""]
    if len({str(tenant) for tenant in tenants if tenant != ""}) > 1:
        raise Fault("message_ambiguous")
    named = _rest_named(call, value, member)
    if context:
        named["contextId"] = context
    return _sent_operations({"kind": "request", "method": call.method, **named}, value or {}), False
