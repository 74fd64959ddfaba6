"""SPEC section 2: strict base64url, strict JSON, JCS and the compact JWS. Nothing lenient in here."""

import base64
import re
from decimal import Decimal
from typing import Any, NamedTuple

from .fault import Fault

MAX_DEPTH = 8
MAX_INTEGER = 2**53 - 1

_B64U = re.compile(r"[A-Za-z0-9_-]*")
_WHITE = re.compile(r"[ \t\n\r]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_HEX4 = re.compile(r"[0-9A-Fa-f]{4}")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LITERALS = {"true": True, "false": False, "null": None}


def b64u_encode(data: bytes) -> str:
    """b64u(x) of section 1: base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64u_decode(text: str) -> bytes:
    """Strict decoding: alphabet, length, and zero in the unused low bits."""
    if not _B64U.fullmatch(text) or len(text) % 4 == 1:
        raise Fault("jws_base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64u_encode(data) != text:
        raise Fault("jws_base64url")
    return data


def is_b64u(text: Any, octets: int | None = None) -> bool:
    """Whether `text` is the one spelling of some octet string (of the given length)."""
    if type(text) is not str:
        return False
    try:
        data = b64u_decode(text)
    except Fault:
        return False
    return octets is None or len(data) == octets


def _joined(text: str) -> str:
    """A string whose escapes may have spelled surrogates: pairs become characters, a lone one is a fault."""
    try:
        return text.encode("utf-16-be", "surrogatepass").decode("utf-16-be")
    except UnicodeDecodeError:
        raise Fault("json_utf8") from None


class _Parser:
    """A recursive-descent parser for the narrowed RFC 8259 of section 2."""

    max_depth = MAX_DEPTH

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def document(self) -> Any:
        value = self._value(0)
        self._white()
        if self.at != len(self.text):
            raise Fault("json_syntax")
        return value

    def _white(self) -> None:
        self.at = _WHITE.match(self.text, self.at).end()

    def _peek(self) -> str:
        """The next character that isn't white space; empty at the end."""
        self._white()
        return self.text[self.at : self.at + 1]

    def _expect(self, char: str) -> None:
        if self._peek() != char:
            raise Fault("json_syntax")
        self.at += 1

    def _value(self, depth: int) -> Any:
        char = self._peek()
        if char and char in "{[":
            if depth == self.max_depth:
                raise Fault("json_depth")
            self._open()
            self.at += 1
            return self._object(depth + 1) if char == "{" else self._array(depth + 1)
        if char == '"':
            return self._string()
        if char and char in "-0123456789":
            return self._number()
        for word, value in _LITERALS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        raise Fault("json_syntax")

    def _object(self, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        folded: set[str] = set()
        if self._peek() == "}":
            self.at += 1
            return members
        while True:
            if self._peek() != '"':
                raise Fault("json_syntax")
            name = self._string()
            self._member_name(name, members, folded)
            self._expect(":")
            members[name] = self._value(depth)
            if self._peek() == "}":
                self.at += 1
                return members
            self._expect(",")

    def _open(self) -> None:
        """An object or array begins; how many there may be is for other rules than these."""

    def _member_name(self, name: str, members: dict[str, Any], folded: set[str]) -> None:
        """Whether a member of this name may stand beside those that came before; `folded` is for other rules than these."""
        if name in members:
            raise Fault("json_duplicate_member")

    def _array(self, depth: int) -> list[Any]:
        items: list[Any] = []
        if self._peek() == "]":
            self.at += 1
            return items
        while True:
            items.append(self._value(depth))
            if self._peek() == "]":
                self.at += 1
                return items
            self._expect(",")

    def _number(self) -> int | float:
        found = _NUMBER.match(self.text, self.at)
        if not found:
            raise Fault("json_syntax")
        digits = found.group()
        if not _INTEGER.fullmatch(digits) or len(digits) > 17 or abs(int(digits)) > MAX_INTEGER:
            raise Fault("json_number")
        self.at = found.end()
        return int(digits)

    def _string(self) -> str:
        self.at += 1
        parts: list[str] = []
        while True:
            plain = _PLAIN.match(self.text, self.at)
            parts.append(plain.group())
            self.at = plain.end()
            stop = self.text[self.at : self.at + 1]
            self.at += 1
            if stop == '"':
                return _joined("".join(parts))
            if stop != "\\":
                raise Fault("json_syntax")
            parts.append(self._escape())

    def _escape(self) -> str:
        char = self.text[self.at : self.at + 1]
        self.at += 1
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char != "u":
            raise Fault("json_syntax")
        return chr(self._hex4())

    def _hex4(self) -> int:
        found = _HEX4.match(self.text, self.at)
        if not found:
            raise Fault("json_syntax")
        self.at = found.end()
        return int(found.group(), 16)


def parse_json(data: bytes) -> Any:
    """Strict JSON of section 2. Whether the value has to be an object is the caller's business."""
    if data.startswith(b"\xef\xbb\xbf"):
        raise Fault("json_utf8")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Fault("json_utf8") from None
    return _Parser(text).document()


_JCS_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _jcs_string(text: str) -> str:
    escaped = (_JCS_SHORT.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in text)
    return '"' + "".join(escaped) + '"'


def _jcs_number(value: float) -> str:
    """As ECMAScript writes a double (RFC 8785 section 3.2.2.3): the shortest digits, and no exponent from 1e-6 to 1e21."""
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    if not text:
        return "0"
    point = len(digits) + int(exponent)  # digits before the decimal point
    if 0 < point <= 21:
        text = text.ljust(point, "0") if len(text) <= point else f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + text
    else:
        fraction = f".{text[1:]}" if len(text) > 1 else ""
        text = f"{text[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return "-" + text if sign else text


def _jcs_text(value: Any) -> str:
    if value is None:
        return "null"
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    if type(value) is float:
        return _jcs_number(value)
    if type(value) is str:
        return _jcs_string(value)
    if type(value) is list:
        return "[" + ",".join(_jcs_text(item) for item in value) + "]"
    if type(value) is dict:
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{_jcs_string(n)}:{_jcs_text(value[n])}" for n in names) + "}"
    raise TypeError(f"not JSON of this protocol: {type(value).__name__}")


def jcs(value: Any) -> bytes:
    """JCS (RFC 8785)."""
    return _jcs_text(value).encode("utf-8")


class Jws(NamedTuple):
    """A compact JWS after structure, header and payload JSON; members and signature are still unchecked."""

    signing_input: bytes
    signature: bytes
    payload: dict[str, Any]
    kid: str | None


class JwsType(NamedTuple):
    """One row of the header table: `typ` value, whether `kid` is in the header, cap in octets (section 15)."""

    typ: str
    has_kid: bool
    cap: int


LINK = JwsType("dlink+jwt", False, 4096)
PROOF_I = JwsType("hs-i+jwt", False, 4096)
PROOF_R = JwsType("hs-r+jwt", False, 4096)
WIT = JwsType("wit+jwt", True, 4096)
ROLES = JwsType("roles+jwt", True, 32768)
BUNDLE = JwsType("bundle+jwt", True, 8 << 20)
TIMESTAMP = JwsType("timestamp+jwt", True, 4096)
LINK_APPROVAL = JwsType("link-approval+jwt", True, 4096)
APPROVAL = JwsType("approval+jwt", True, 4096)
QUARANTINE_INSPECT = JwsType("quarantine-inspect+jwt", True, 4096)
QUARANTINE_RELEASE = JwsType("quarantine-release+jwt", True, 4096)
CHECKPOINT = JwsType("audit-cp+jwt", True, 4096)
ASSERTION = JwsType("hop+jwt", True, 4096)

_HEADER = re.compile(rb'\{"alg":"Ed25519",(?:"kid":"([A-Za-z0-9_-]{43})",)?"typ":"([a-z+-]+)"\}')


def parse_jws(text: str, kind: JwsType) -> Jws:
    """Size, structure, base64url of each part, header, payload JSON: in this order (section 2)."""
    if len(text.encode("utf-8", "surrogatepass")) > kind.cap:
        raise Fault("jws_size")
    parts = text.split(".")
    if len(parts) != 3 or not all(parts) or len(parts[2]) != 86:
        raise Fault("jws_structure")
    header, payload, signature = (b64u_decode(part) for part in parts)
    found = _HEADER.fullmatch(header)
    if not found or found.group(2) != kind.typ.encode():
        raise Fault("jws_header")
    kid = found.group(1).decode() if found.group(1) else None
    if (kid is not None) != kind.has_kid or (kid is not None and not is_b64u(kid, 32)):
        raise Fault("jws_header")
    value = parse_json(payload)
    if type(value) is not dict:
        raise Fault("json_syntax")
    return Jws(f"{parts[0]}.{parts[1]}".encode("ascii"), signature, value, kid)
