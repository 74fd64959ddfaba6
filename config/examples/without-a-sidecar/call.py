#!/usr/bin/env python3
"""Calls a Hopgate sidecar from a program that has none: docs/without-a-sidecar.md.

  pip install cryptography pyOpenSSL
  python3 call.py --identity agents/batch-1 --trust root/ca.pem --chain task.chain \\
    --callee spiffe://company.com/agent/inventory/1 https://inventory.company.com:14443/ec2/DescribeInstances

With --data the request is a POST with that body, of --type. Python's own ssl has no TLS exporter; pyOpenSSL has.
"""

import argparse
import base64
import hashlib
import http.client
import io
import json
import secrets
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto

SIGNED = ("workload-identity-token", "hopgate-channel", "delegation-chain", "content-type", "content-digest")


def b64u(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def authorities(path: str) -> list[crypto.X509]:
    """The CA certificates of the trust domain: PEM, or the roles.jws that `hopgate join` has verified and written."""
    content = Path(path).read_text().strip()
    if content.startswith("-----BEGIN"):
        found = x509.load_pem_x509_certificates(content.encode())
    else:
        payload = content.split(".")[1]
        listed = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["x509"]
        found = [x509.load_der_x509_certificate(base64.urlsafe_b64decode(der + "=" * (-len(der) % 4))) for der in listed]
    return [crypto.X509.from_cryptography(one) for one in found]


def connect(host: str, port: int, identity: Path, trust: str, callee: str) -> SSL.Connection:
    """TLS 1.3 with our SVID, to this very agent."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.use_certificate_chain_file(str(identity / "svid.pem"))
    context.use_privatekey_file(str(identity / "svid.key"))
    for certificate in authorities(trust):
        context.get_cert_store().add_cert(certificate)
    context.set_verify(SSL.VERIFY_PEER, lambda _connection, _certificate, _error, _depth, ok: bool(ok))
    context.set_alpn_protos([b"http/1.1"])
    connection = SSL.Connection(context, socket.create_connection((host, port)))
    connection.set_connect_state()
    connection.do_handshake()
    # A SPIFFE ID and no host name says who answers: exactly this one, and nothing besides.
    shown = connection.get_peer_certificate().to_cryptography()
    names = list(shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    if [(type(name), name.value) for name in names] != [(x509.UniformResourceIdentifier, callee)]:
        raise SystemExit(f"{callee} is expected, {names} answers")
    return connection


class Octets(io.RawIOBase):
    """What http.client reads a response from."""

    def __init__(self, connection: SSL.Connection) -> None:
        self.connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:
        try:
            return self.connection.recv_into(buffer)
        except SSL.ZeroReturnError:
            return 0


class Line(http.client.HTTPConnection):
    """HTTP over a connection that is there already."""

    def __init__(self, host: str, connection: SSL.Connection) -> None:
        super().__init__(host)
        self.sock = connection
        self.response_class = lambda _sock, **options: http.client.HTTPResponse(self, **options)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(Octets(self.sock))


def main() -> int:
    arguments = argparse.ArgumentParser()
    for name in ("identity", "trust", "chain", "callee"):
        arguments.add_argument(f"--{name}", required=True)
    arguments.add_argument("--data")
    arguments.add_argument("--type", default="application/json")
    arguments.add_argument("url")
    options = arguments.parse_args()

    identity = Path(options.identity)
    url = urlsplit(options.url)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    # The connection comes first: what is signed is signed for it alone.
    connection = connect(url.hostname or "", url.port or 443, identity, options.trust, options.callee)
    exporter = connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")

    body = None if options.data is None else options.data.encode()
    method = "GET" if body is None else "POST"
    headers = {
        "host": url.netloc,
        "workload-identity-token": (identity / "wit.jwt").read_text().strip(),
        "hopgate-channel": b64u(exporter),
        "delegation-chain": Path(options.chain).read_text().strip(),
    }
    if body is not None:
        headers["content-type"] = options.type
        headers["content-digest"] = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"

    # RFC 9421: a line for each thing that is signed, and then how.
    values = {"@method": method, "@authority": url.netloc.lower().removesuffix(":443"), "@request-target": target}
    values |= {name: headers[name] for name in SIGNED if name in headers}
    now = int(time.time())
    parameters = (
        "(" + " ".join(f'"{name}"' for name in values) + ")"
        f';created={now};expires={now + 20};nonce="{secrets.token_urlsafe(16)}"'
        f';tag="wimse-workload-to-workload";wimse-aud="{options.callee}"'
    )
    lines = [f'"{name}": {value}' for name, value in values.items()]
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    key = load_pem_private_key((identity / "agent.key").read_bytes(), None)
    headers["signature-input"] = f"wimse={parameters}"
    headers["signature"] = f"wimse=:{base64.b64encode(key.sign(base.encode())).decode()}:"

    line = Line(url.netloc, connection)
    line.request(method, target, body, headers)
    response = line.getresponse()
    print(response.read().decode())
    return 0 if response.status < 400 else 1


if __name__ == "__main__":
    sys.exit(main())
