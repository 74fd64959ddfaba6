"""Reads a body a line (base64) as an agent in Python would, and writes what it found as one line of JSON; "refused" where it finds nothing."""

import base64
import json
import sys
from decimal import Decimal


def integer(text):
    """Python keeps integers exactly, which the reader of this line doesn't: larger ones are shown as what they are."""
    value = int(text)
    return value if abs(value) < 2**53 else {"exactly": str(value)}


def fraction(text):
    """As a reader of decimals would have it: what is not zero stays so."""
    value = float(text)
    return {"exactly": text} if value == 0 and Decimal(text) != 0 else value


for line in sys.stdin:
    text = line.rstrip("\n")
    if text == "":
        print("refused", flush=True)
        continue
    try:
        # Takes UTF-8, UTF-16 and UTF-32, with a byte order mark or without.
        found = json.loads(base64.b64decode(text), parse_int=integer, parse_float=fraction)
        print(json.dumps(found, allow_nan=False))
    except (ValueError, RecursionError):
        print("refused")
