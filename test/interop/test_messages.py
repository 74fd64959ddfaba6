"""Messages and conditions: what the vectors don't turn over one by one. Run: python3 -m unittest"""

import json
import random
import struct
import unittest
from typing import Any

from hopgate_verify import conditions, encoding
from hopgate_verify.environment import Unknown, headers_of, query_of
from hopgate_verify.fault import Fault
from hopgate_verify.message import path_below, read_message
from hopgate_verify.message_json import read_answer, read_body

CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"n":1}}}'
TYPE = ["content-type", "application/json"]


def code_of(body: str) -> str:
    try:
        read_message("mcp", "POST", "", "", TYPE, body.encode(), None)
    except Fault as fault:
        return fault.reason
    return "ok"


class JsonTest(unittest.TestCase):
    def test_what_is_read_is_what_others_read(self) -> None:
        for text in ('{"a":[1,-2.5,1e3,true,null,"\\u00e9\\ud83d\\ude00"]}', "0", '""', " [ ] "):
            self.assertEqual(read_body(text.encode()), json.loads(text))

    def test_every_cut_and_every_insertion_is_read_or_refused_and_never_crashes(self) -> None:
        codes = {code_of(CALL[:at] + more + CALL[at:]) for at in range(len(CALL)) for more in ('"', "{", ",", "\\", "0")}
        codes |= {code_of(CALL[:at]) for at in range(len(CALL))}
        self.assertLessEqual(codes, {"ok", "message_malformed", "message_ambiguous"})

    def test_answers_may_have_what_requests_may_not(self) -> None:
        for text in ('{"a":1,"A":2}', "[123456789012345678901]", "-0", '{"__proto__":1}', "1e-400"):
            read_answer(text)
            self.assertRaises(Fault, read_body, text.encode())
        for text in ("1e400", '{"a":1,"a":1}', '"\\ud800"', "\ufeff1"):
            self.assertRaises(Fault, read_answer, text)

    def test_numbers_are_written_as_ecmascript_does(self) -> None:
        known = {
            1e21: "1e+21", 1e20: "100000000000000000000", 1.5e300: "1.5e+300", 5e-324: "5e-324", 1e-6: "0.000001",
            1e-7: "1e-7", 123456.789: "123456.789", -0.1: "-0.1", -0.0: "0", 100.0: "100", 333333333.3333333: "333333333.3333333",
        }
        for value, text in known.items():
            self.assertEqual(encoding.jcs(value).decode(), text)
        drawn = random.Random(7)
        for _ in range(2000):
            (value,) = struct.unpack("d", drawn.randbytes(8))
            if value == value and abs(value) != float("inf"):
                self.assertEqual(float(encoding.jcs(value)), value)

    def test_what_is_below_a_route(self) -> None:
        for route, path, below in (
            ("/*", "/a/b", "/a/b"), ("/a", "/a", ""), ("/a/*", "/a/b/c", "/b/c"), ("/{x}/*", "/a/", "/"),
        ):
            self.assertEqual(path_below(route, path), below)


AGENT = {"id": "spiffe://a.com/agent/a/1", "type": "a", "domain": "a.com", "attributes": {"team": "red"}, "score": 5}
VALUES: dict[str, dict[str, Any]] = {
    "caller": AGENT,
    "callee": AGENT,
    "principal": {"id": "mailto:a@b", "issuer": "", "groups": []},
    "request": {
        "direction": "inbound", "method": "GET", "path": "/", "query": Unknown(), "route": "r", "destination": "", "protocol": "mcp",
        "scopes": [], "headers": {}, "size": -1,
    },
    "mcp": {
        "server": "", "method": "tools/call", "kind": "request", "tool": "t", "prompt": "", "resource": "",
        "arguments": {"n": 1, "big": 2**40, "list": [1, "a"]},
    },
}


class ConditionTest(unittest.TestCase):
    def test_values(self) -> None:
        for text, wanted in (
            ("mcp.arguments.big == 1099511627776", True),
            ("mcp.arguments.list == [1, 'a']", None),  # no condition: elements of two types
            ("'a' in mcp.arguments.list", True),
            ("2 in mcp.arguments.list", False),
            ("request.query.a == 'b'", None),
            ("request.query.a == 'b' || caller.score == 5", True),
            ("caller.attributes.?team.orValue('none') == 'red'", True),
            ("caller.attributes.?unit.orValue('none') == 'none'", True),
            ("mcp.arguments.n == '1'", False),
            ("mcp.arguments.n != '1'", True),
        ):
            try:
                found = conditions.evaluate(text, VALUES, 0)
            except conditions.Fault:
                found = None
            self.assertEqual(found, wanted, text)

    def test_what_is_no_condition(self) -> None:
        for text in ("", "caller", "caller.id", "caller.attributes.team", "1 == 1.0", "caller.id == 1", "now > 5", "x == 1",
                     "caller.id.matches(mcp.tool)", "caller.id.upper() == ''", "[1, 'a'] == []", "!caller.id", "-caller.id == ''"):
            self.assertRaises(conditions.Fault, conditions.reads_of, text)

    def test_what_is_read(self) -> None:
        self.assertEqual(conditions.reads_of("caller.score > 1 && mcp.arguments.n == 1"), {"caller.score", "mcp.arguments"})

    def test_queries_and_headers(self) -> None:
        self.assertEqual(query_of("a=1&&b&c=x+y%C3%A9"), {"a": "1", "b": "", "c": "x y\u00e9"})
        for query in ("a=1&a=2", "a=%", "a=%zz", "a=%ff"):
            self.assertEqual(query_of(query), Unknown())
        self.assertEqual(headers_of(["X-A", "1", "Cookie", "c", "HOST", "h"]), {"x-a": "1", "host": "h"})
        self.assertEqual(headers_of(["x-a", "1", "X-A", "2"]), Unknown())


if __name__ == "__main__":
    unittest.main()
