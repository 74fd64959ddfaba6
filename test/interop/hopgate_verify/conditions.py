"""SPEC section 13.2: conditions. Parsed and evaluated by cel-python; typed here, since it leaves that to run time.

Where cel-python differs from cel-spec, and this specification, it is set right below: numbers of two types are equal when
their values are, values of other types are not equal rather than an error, and arithmetic does not mix numbers.
`a.?b.orValue(c)` is all that is understood of optional values.
"""

import datetime
import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import celpy
import lark
import re2
from celpy import celtypes

from .encoding import jcs
from .environment import ENVIRONMENT, TEXTS, Type, Unknown
from .patterns import compile_pattern

MAX_CHARACTERS = 4096
# What a sender may make long.
SENDERS = {"mcp", "mcp.arguments", "request", "request.query", "request.headers"}
_MACROS = ("all", "exists", "exists_one", "map", "filter")
_OPTIONAL = re.compile(r"((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)\.\?([A-Za-z_]\w*)\.orValue\(([^()]*)\)")
_NUMBERS = ("int", "uint", "double")
_environment = celpy.Environment()


class Fault(Exception):
    """Not a condition."""


def _is_same(a: Type, b: Type) -> bool:
    if a == "dyn" or b == "dyn":
        return True
    if type(a) is tuple and type(b) is tuple:
        return a[0] == b[0] and _is_same(a[1], b[1])
    return bool(a == b)


def _joined(types: list[Type]) -> Type:
    """The one type of all elements."""
    if not types:
        return "dyn"
    if not all(_is_same(types[0], other) for other in types):
        raise Fault("elements of several types")
    return "dyn" if "dyn" in types else types[0]


_TIME = {name: "int" for name in "getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getMonth".split()}
_PARTS = {name: "int" for name in "getHours getMilliseconds getMinutes getSeconds".split()}
_METHODS: dict[str, dict[str, tuple[Type, ...]]] = {
    # Result, then arguments.
    "string": {
        **{name: ("bool", "string") for name in ("startsWith", "endsWith", "contains", "matches")},
        "size": ("int",),
    },
    "bytes": {"size": ("int",)},
    "timestamp": {name: ("int",) for name in (*_TIME, *_PARTS)},
    "duration": {name: ("int",) for name in _PARTS},
}
_CONVERSIONS = {
    "int": ("string", "double", "uint", "int", "timestamp"),
    "uint": ("string", "double", "int", "uint"),
    "double": ("string", "int", "uint", "double"),
    "string": ("string", "int", "uint", "double", "bool", "bytes", "timestamp", "duration"),
    "bytes": ("string", "bytes"),
    "bool": ("string", "bool"),
    "timestamp": ("string", "int", "timestamp"),
    "duration": ("string", "duration"),
}
_ADDED = {
    ("timestamp", "duration"): "timestamp",
    ("duration", "timestamp"): "timestamp",
    ("duration", "duration"): "duration",
}
_TAKEN = {
    ("timestamp", "timestamp"): "duration",
    ("timestamp", "duration"): "timestamp",
    ("duration", "duration"): "duration",
}
_LITERALS = {
    "INT_LIT": "int",
    "UINT_LIT": "uint",
    "FLOAT_LIT": "double",
    "STRING_LIT": "string",
    "MLSTRING_LIT": "string",
    "BYTES_LIT": "bytes",
    "BOOL_LIT": "bool",
    "NULL_LIT": "null",
}
_TYPE_NAMES = ("int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type")


def _with_dyn(operator: str, known: Type) -> Type:
    """Of a side that nobody knows the one that there is an operation with; dyn where there are several."""
    if known == "dyn":
        return "dyn"
    if known in _NUMBERS and (operator != "multiplication_mod" or known != "double"):
        return known
    if operator == "addition_add" and (known in ("string", "bytes", "timestamp") or known[0] == "list"):
        return known
    if operator.startswith("addition") and known in ("timestamp", "duration"):
        return "dyn"
    raise Fault("no such operation")


class _Checker:
    """Types of an expression, and what it reads."""

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.nested = 0

    def of(self, node: Any, bound: dict[str, Type], depth: int = 0) -> Type:
        children = [child for child in node.children if child is not None]
        handler = getattr(self, f"_{node.data}", None)
        if handler is not None:
            return handler(children, bound, depth)
        if len(children) == 1 and type(children[0]) is lark.Tree:
            return self.of(children[0], bound, depth)
        raise Fault(f"no such thing: {node.data}")

    def _all_bool(self, parts: list[Any], bound: dict[str, Type], depth: int) -> Type:
        types = [self.of(part, bound, depth) for part in parts]
        if len(types) == 1:
            return types[0]
        if not all(_is_same(kind, "bool") for kind in types):
            raise Fault("not bool")
        return "bool"

    _conditionalor = _conditionaland = _all_bool

    def _expr(self, parts: list[Any], bound: dict[str, Type], depth: int) -> Type:
        types = [self.of(part, bound, depth) for part in parts]
        if len(types) == 1:
            return types[0]
        if not _is_same(types[0], "bool"):
            raise Fault("not bool")
        return _joined(types[1:])

    def _binary(self, parts: list[Any], bound: dict[str, Type], depth: int) -> tuple[str, Type, Type] | Type:
        """Operator with the types of its sides; a type alone where there is no operator."""
        if len(parts) == 1:
            return self.of(parts[0], bound, depth)
        left = self.of(parts[0].children[0], bound, depth)
        return str(parts[0].data), left, self.of(parts[1], bound, depth)

    def _relation(self, parts: list[Any], bound: dict[str, Type], depth: int) -> Type:
        found = self._binary(parts, bound, depth)
        if len(parts) == 1:
            return found
        operator, left, right = found
        if operator == "relation_in":
            held = right[1] if type(right) is tuple and right[0] == "list" else "string"
            if right != "dyn" and (type(right) is not tuple or not _is_same(left, held)):
                raise Fault("in")
        elif operator not in ("relation_eq", "relation_ne") and left in _NUMBERS and right in _NUMBERS:
            return "bool"
        elif not _is_same(left, right):
            raise Fault("two types")
        elif operator not in ("relation_eq", "relation_ne") and type(left) is tuple:
            raise Fault("no order")
        return "bool"

    def _arithmetic(self, parts: list[Any], bound: dict[str, Type], depth: int) -> Type:
        found = self._binary(parts, bound, depth)
        if len(parts) == 1:
            return found
        operator, left, right = found
        if "dyn" in (left, right):
            return _with_dyn(operator, right if left == "dyn" else left)
        if operator == "addition_add" and left == right and (left in ("string", "bytes") or left[0] == "list"):
            return left
        times = {"addition_add": _ADDED, "addition_sub": _TAKEN}.get(operator, {})
        if (left, right) in times:
            return times[left, right]
        if left != right or left not in _NUMBERS or (operator == "multiplication_mod" and left == "double"):
            raise Fault("two types")
        return left

    _addition = _multiplication = _arithmetic

    def _unary(self, parts: list[Any], bound: dict[str, Type], depth: int) -> Type:
        found = self.of(parts[-1], bound, depth)
        if len(parts) == 1:
            return found
        wanted = ("bool",) if parts[0].data == "unary_not" else ("int", "double")
        if found != "dyn" and found not in wanted:
            raise Fault("two types")
        return found

    def _literal(self, parts: list[Any], bound: dict[str, Type], depth: int) -> Type:
        return _LITERALS[parts[0].type]

    def _ident(self, parts: list[Any], bound: dict[str, Type], depth: int) -> Type:
        name = str(parts[0])
        if name in bound:
            return bound[name]
        if name in _TYPE_NAMES:
            return "type"
        if name in ENVIRONMENT:
            self.reads.add(name)
            return ("variable", name)
        if name == "now":
            return "timestamp"
        raise Fault("no such variable")

    def _paren_expr(self, parts: list[Any], bound: dict[str, Type], depth: int) -> Type:
        return self.of(parts[0], bound, depth)

    def _list_lit(self, parts: list[Any], bound: dict[str, Type], depth: int) -> Type:
        items = parts[0].children if parts else []
        if len(items) > 256:
            raise Fault("too many elements")
        return ("list", _joined([self.of(item, bound, depth) for item in items]))

    def _map_lit(self, parts: list[Any], bound: dict[str, Type], depth: int) -> Type:
        items = [self.of(item, bound, depth) for item in parts[0].children] if parts else []
        if len(items) > 128:
            raise Fault("too many entries")
        return ("map", _joined(items[1::2]))

    def _member_dot(self, parts: list[Any], bound: dict[str, Type], depth: int) -> Type:
        of, name = self.of(parts[0], bound, depth), str(parts[1])
        if type(of) is tuple and of[0] == "variable":
            self.reads.discard(of[1])
            self.reads.add(f"{of[1]}.{name}")
            if name not in ENVIRONMENT[of[1]]:
                raise Fault("no such attribute")
            return ENVIRONMENT[of[1]][name]
        if of == "dyn":
            return "dyn"
        if type(of) is tuple and of[0] == "map":
            return of[1]
        raise Fault("no members")

    def _member_index(self, parts: list[Any], bound: dict[str, Type], depth: int) -> Type:
        of, key = self.of(parts[0], bound, depth), self.of(parts[1], bound, depth)
        if of == "dyn":
            return "dyn"
        if type(of) is not tuple or of[0] == "variable":
            raise Fault("no index")
        if not _is_same(key, "int" if of[0] == "list" else "string"):
            raise Fault("two types")
        return of[1]

    def _member_dot_arg(self, parts: list[Any], bound: dict[str, Type], depth: int) -> Type:
        method = str(parts[1])
        given = parts[2].children if len(parts) > 2 else []
        before, self.reads = self.reads, set()
        of = self.of(parts[0], bound, depth)
        through, self.reads = self.reads, before | self.reads
        if method in _MACROS:
            return self._macro(method, of, given, bound, depth + 1, through)
        types = [self.of(one, bound, depth) for one in given]
        if method == "matches":
            _check_pattern(given)
        if method == "size" and type(of) is tuple and of[0] in ("list", "map") and not given:
            return "int"
        kinds = [kind for kind in _METHODS if method in _METHODS[kind] and _is_same(of, kind)]
        if not kinds:
            raise Fault("no such method")
        result, *wanted = _METHODS[kinds[0]][method]
        if kinds[0] == "timestamp" and types == ["string"]:
            return result
        if len(types) != len(wanted) or not all(_is_same(a, b) for a, b in zip(types, wanted)):
            raise Fault("other arguments")
        return result

    def _macro(
        self, macro: str, of: Type, given: list[Any], bound: dict[str, Type], depth: int, through: set[str]
    ) -> Type:
        self.nested = max(self.nested, depth)
        name = _ident_of(given[0]) if len(given) == 2 else None
        if name is None or name in ENVIRONMENT or name == "now":
            raise Fault("an attribute is bound, or nothing")
        if of == "dyn":
            item: Type = "dyn"
        elif type(of) is tuple and of[0] in ("list", "map"):
            item = of[1] if of[0] == "list" else "string"
        else:
            raise Fault("nothing to go through")
        before, self.reads = self.reads, set()
        body = self.of(given[1], {**bound, name: item}, depth)
        if through & SENDERS and self.reads & SENDERS:
            self.nested = max(self.nested, depth + 1)
        self.reads |= before
        if macro == "map":
            return ("list", body)
        if not _is_same(body, "bool"):
            raise Fault("not bool")
        return of if macro == "filter" else "bool"

    def _ident_arg(self, parts: list[Any], bound: dict[str, Type], depth: int) -> Type:
        name = str(parts[0])
        given = parts[1].children if len(parts) > 1 else []
        if len(given) != 1:
            raise Fault("other arguments")
        found = self.of(given[0], bound, depth)
        if name == "has":
            if not list(given[0].find_data("member_dot")):
                raise Fault("has")
            return "bool"
        if name in ("dyn", "type"):
            return name
        if name == "size":
            if found != "dyn" and type(found) is not tuple and found not in ("string", "bytes"):
                raise Fault("no size")
            return "int"
        if name not in _CONVERSIONS or (found != "dyn" and found not in _CONVERSIONS[name]):
            raise Fault("no such function")
        return name


def _leaf_of(node: Any) -> Any:
    """What an expression is when it is one thing alone."""
    while type(node) is lark.Tree and len(node.children) == 1 and node.data not in ("ident", "literal"):
        node = node.children[0]
    return node


def _ident_of(node: Any) -> str | None:
    leaf = _leaf_of(node)
    return str(leaf.children[0]) if type(leaf) is lark.Tree and leaf.data == "ident" else None


def _check_pattern(given: list[Any]) -> None:
    """One, written out, and of RE2."""
    leaf = _leaf_of(given[0]) if len(given) == 1 else None
    if type(leaf) is not lark.Tree or leaf.data != "literal" or not leaf.children[0].type.endswith("STRING_LIT"):
        raise Fault("a pattern that is not written out")
    try:
        compile_pattern(str(celpy.evaluation.celstr(leaf.children[0])))
    except re2.error:
        raise Fault("a pattern that RE2 does not know") from None


def _rewritten(text: str) -> str:
    return _OPTIONAL.sub(r"(has(\1.\2) ? \1.\2 : \3)", text)


@lru_cache(maxsize=4096)
def _compiled(text: str) -> tuple[Any, frozenset[str]]:
    if len(text.encode("utf-16-le")) > 2 * MAX_CHARACTERS:
        raise Fault("too long")
    try:
        tree = _environment.compile(_rewritten(text))
    except celpy.CELParseError:
        raise Fault("no expression") from None
    checker = _Checker()
    found = checker.of(tree, {})
    if not _is_same(found, "bool"):
        raise Fault("not bool")
    if checker.nested > (1 if checker.reads & SENDERS else 2):
        raise Fault("nested too deep")
    return tree, frozenset(checker.reads)


def reads_of(text: str) -> frozenset[str]:
    """The attributes that a condition reads. Raises Fault where it is none."""
    return _compiled(text)[1]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, (bool, celtypes.BoolType))


def _is_alike(a: Any, b: Any) -> bool:
    """Of one type; what is made of texts may be a plain one."""
    return type(a) is type(b) or any(isinstance(a, kind) and isinstance(b, kind) for kind in (str, bytes))


def _plain(value: Any) -> int | float:
    return float(value) if isinstance(value, float) else int(value)


def _equal(a: Any, b: Any) -> bool:
    if _is_number(a) and _is_number(b):
        return _plain(a) == _plain(b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return len(a) == len(b) and all(key in b and _equal(value, b[key]) for key, value in a.items())
    return _is_alike(a, b) and bool(a == b)


Operation = Callable[[Any, Any], Any]


def _spread(operation: Operation) -> Operation:
    """Errors are values in cel-python: an operation on one is that one."""

    def apply(a: Any, b: Any) -> Any:
        for side in (a, b):
            if isinstance(side, celpy.CELEvalError):
                return side
        return operation(a, b)

    return apply


def _kind(value: Any) -> str:
    """int, uint or double; empty for what is no number. What is made of numbers may be a plain one."""
    if not _is_number(value):
        return ""
    if isinstance(value, float):
        return "double"
    return "uint" if isinstance(value, celtypes.UintType) else "int"


_DOUBLES: dict[str, Operation] = {
    "_+_": lambda a, b: a + b,
    "_-_": lambda a, b: a - b,
    "_*_": lambda a, b: a * b,
    "_/_": lambda a, b: _divided(a, b),
}


def _is_joined(name: str, a: Any, b: Any) -> bool:
    """Texts and lists are put together, times and durations added and taken away."""
    times = (celtypes.TimestampType, celtypes.DurationType)
    if isinstance(a, times) and isinstance(b, times):
        return name in ("_+_", "_-_")
    return name == "_+_" and any(isinstance(a, kind) and isinstance(b, kind) for kind in (str, bytes, list))


def _size(value: Any) -> Any:
    if isinstance(value, celpy.CELEvalError):
        return value
    if not isinstance(value, (str, bytes, list, dict)):
        raise TypeError("no size")
    return celtypes.IntType(len(value))


def _divided(a: float, b: float) -> float:
    """As IEEE 754 has it."""
    if b:
        return a / b
    return math.nan if not a or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)


def _unmixed(name: str) -> Operation:
    inner = celpy.evaluation.base_functions[name]

    def apply(a: Any, b: Any) -> Any:
        kind = _kind(a)
        if kind != _kind(b):
            raise TypeError("two types")
        if kind == "double":
            return celtypes.DoubleType(_DOUBLES[name](float(a), float(b)))
        if not kind and not _is_joined(name, a, b):
            raise TypeError("no such overload")
        made = inner(a, b)
        return celtypes.StringType(made) if isinstance(made, str) else made

    return _spread(apply)


_CLASSES: list[tuple[type, str]] = [
    (celtypes.BoolType, "bool"),
    (bool, "bool"),
    (celtypes.UintType, "uint"),
    (int, "int"),
    (float, "double"),
    (str, "string"),
    (bytes, "bytes"),
    (celtypes.TimestampType, "timestamp"),
    (celtypes.DurationType, "duration"),
]


def _kind_of(value: Any) -> str:
    return next((word for kind, word in _CLASSES if isinstance(value, kind)), "")


def _type(value: Any) -> Any:
    """What the name of the type stands for: its conversion."""
    return _FUNCTIONS.get(_kind_of(value)) or celtypes.TypeType(value)


def _converted(name: str) -> Callable[[Any], Any]:
    inner = celpy.evaluation.base_functions[name]

    def apply(value: Any) -> Any:
        if isinstance(value, celpy.CELEvalError):
            return value
        kind = _kind_of(value)
        if kind not in _CONVERSIONS[name]:
            raise TypeError("no such overload")
        if name == "string" and kind == "double":
            return celtypes.StringType(jcs(float(value)).decode())
        if name == "int" and kind == "double" and not abs(float(value)) < 2**63:
            raise ValueError("out of range")
        return inner(value)

    return apply


def _ordered(compare: Callable[[float, float], bool], name: str) -> Operation:
    inner = celpy.evaluation.base_functions[name]

    def apply(a: Any, b: Any) -> Any:
        if _is_number(a) and _is_number(b):
            return celtypes.BoolType(compare(_plain(a), _plain(b)))
        if not _is_alike(a, b):
            raise TypeError("two types")
        return inner(a, b)

    return _spread(apply)


def _within(item: Any, held: Any) -> Any:
    return celtypes.BoolType(any(_equal(item, one) for one in held))


_FUNCTIONS: dict[str, Any] = {
    "_==_": _spread(lambda a, b: celtypes.BoolType(_equal(a, b))),
    "_!=_": _spread(lambda a, b: celtypes.BoolType(not _equal(a, b))),
    "_in_": _spread(_within),
    "_<_": _ordered(lambda a, b: a < b, "_<_"),
    "_<=_": _ordered(lambda a, b: a <= b, "_<=_"),
    "_>_": _ordered(lambda a, b: a > b, "_>_"),
    "_>=_": _ordered(lambda a, b: a >= b, "_>=_"),
    **{name: _unmixed(name) for name in ("_+_", "_-_", "_*_", "_/_", "_%_")},
    **{name: _converted(name) for name in _CONVERSIONS},
    "dyn": lambda value: value,
    "size": _size,
    "type": _type,
}


def _cel(value: Any, kind: Type) -> Any:
    """A value of the environment as one of the language: ints where the table has them, doubles in arguments."""
    if kind == "dyn":
        if type(value) is int:
            value = float(value)
        if type(value) is dict:
            return celtypes.MapType({celtypes.StringType(name): _cel(item, "dyn") for name, item in value.items()})
        if type(value) is list:
            return celtypes.ListType([_cel(item, "dyn") for item in value])
        return celpy.json_to_cel(value)
    if kind == "string":
        return celtypes.StringType(value)
    if kind == "int":
        return celtypes.IntType(value)
    if kind == TEXTS:
        return celtypes.ListType([celtypes.StringType(item) for item in value])
    return celtypes.MapType({celtypes.StringType(name): _cel(item, kind[1]) for name, item in value.items()})


def evaluate(text: str, values: dict[str, dict[str, Any]], now: int) -> bool | None:
    """Whether a condition holds; None when it has no value. `values` are those of the environment, by variable and member."""
    tree, reads = _compiled(text)
    when = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    given: dict[str, Any] = {"now": celtypes.TimestampType(when)}
    for name in reads:
        variable, _, _ = name.partition(".")
        members = {}
        for member, kind in ENVIRONMENT[variable].items():
            value = values[variable][member]
            # What has no value is not there, so that reading it is an error of the language's own.
            if not isinstance(value, Unknown):
                members[celtypes.StringType(member)] = _cel(value, kind)
        given[variable] = celtypes.MapType(members)
    try:
        found = _environment.program(tree, functions=_FUNCTIONS).evaluate(given)
    except (celpy.CELEvalError, TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError):
        return None
    return bool(found) if isinstance(found, (bool, celtypes.BoolType)) else None
