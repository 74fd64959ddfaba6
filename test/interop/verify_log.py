#!/usr/bin/env python3
"""Verifies Hopgate audit logs (src/core/SPEC.md section 14).

    verify_log.py --issuers ISSUERS.json [--complete SEQ] FILE...
    verify_log.py --unsigned FILE...

ISSUERS.json holds the WIT issuer keys, {"<trust domain>": [JWK, ...]}, from a source other than the log. Each FILE is
one whole log. Exit status: 0 all sound, 1 a fault, 2 a wrong call or an unreadable file.
"""

import argparse
import json
import sys
from pathlib import Path

from hopgate_verify.audit import LogFault, Report, verify_log
from hopgate_verify.fault import Fault
from hopgate_verify.keys import Issuers, admit, key_octets
from hopgate_verify.members import check_jwk, is_object


def load_issuers(path: Path) -> Issuers:
    """The issuer keys, each admitted before it is asked for anything."""
    by_domain = json.loads(path.read_text("utf-8"))
    for jwks in by_domain.values():
        if type(jwks) is not list or not jwks or not all(is_object(jwk) for jwk in jwks):
            raise Fault("claim_invalid")
        for jwk in jwks:
            check_jwk(jwk)
            admit(key_octets(jwk))
    return Issuers(by_domain)


def describe(report: Report, has_issuers: bool) -> str:
    """One line about a log without a fault."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(report.kinds.items())) or "no records"
    if not has_issuers:
        return f"chained, SIGNATURES NOT CHECKED: {report.lines} lines ({kinds})"
    notes = [f"{report.lines} lines ({kinds})", f"signed up to line {report.signed}"]
    if report.lines > report.signed:
        notes.append(f"{report.lines - report.signed} chained but not yet signed")
    if report.unfinished:
        notes.append("unfinished write behind the last line")
    notes.append("ended cleanly" if report.ended_cleanly else "not ended")
    return "ok: " + "; ".join(notes)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    trust = parser.add_mutually_exclusive_group(required=True)
    trust.add_argument("--issuers", type=Path, help="WIT issuer keys by trust domain")
    trust.add_argument("--unsigned", action="store_true", help="check the hash chain only")
    parser.add_argument("--complete", type=int, help="seq of a checkpoint that the log must reach")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    given = parser.parse_args()
    status = 0
    try:
        issuers = load_issuers(given.issuers) if given.issuers else None
        for path in given.files:
            try:
                print(
                    f"{path}: {describe(verify_log(path.read_bytes(), issuers, given.complete), issuers is not None)}"
                )
            except LogFault as fault:
                print(f"{path}:{fault.line}: {fault.reason}")
                status = 1
    except Fault as fault:
        print(f"{given.issuers}: {fault.reason}", file=sys.stderr)
        return 2
    except (OSError, ValueError, AttributeError) as error:
        print(error, file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())
