"""Signs the objects that test_self.py needs. Keys come from fixed seeds; nothing here is part of the checks."""

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hopgate_verify.encoding import b64u_encode, jcs
from hopgate_verify.keys import thumbprint

NOW = 1_800_000_000
TD = "company.com"
Json = dict[str, Any]


class Key:
    """A key pair by name."""

    def __init__(self, name: str) -> None:
        self.private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        self.raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64u_encode(self.raw)}
        self.jkt = thumbprint(self.jwk)


ISSUER, ALICE, ROOT, TIMESTAMP = Key("issuer"), Key("alice"), Key("root"), Key("timestamp")
ISSUERS = {TD: [ISSUER.jwk]}


def agent(name: str) -> str:
    return f"spiffe://{TD}/agent/{name}/1"


def raw_jws(header: bytes, payload: bytes, key: Key) -> str:
    signing_input = f"{b64u_encode(header)}.{b64u_encode(payload)}"
    return f"{signing_input}.{b64u_encode(key.private.sign(signing_input.encode()))}"


def sign(typ: str, payload: Json, key: Key, kid: bool = True) -> str:
    header = {"alg": "Ed25519", **({"kid": key.jkt} if kid else {}), "typ": typ}
    return raw_jws(json.dumps(header, separators=(",", ":")).encode(), json.dumps(payload).encode(), key)


def signed_request(given: Json, key: Key, audience: str, **parameters: Any) -> list[str]:
    """The headers of a request with its signature (SPEC section 12.1); `given` has all that is signed, in order."""
    wanted = {"created": NOW, "expires": NOW + 9, "nonce": '"0123456789abcdef"', "tag": '"wimse-workload-to-workload"'}
    wanted |= {"wimse-aud": f'"{audience}"', **parameters}
    text = "(" + " ".join(f'"{name}"' for name in given) + ")" + "".join(f";{name}={value}" for name, value in wanted.items())
    lines = [*(f'"{name}": {value}' for name, value in given.items()), f'"@signature-params": {text}']
    signature = base64.b64encode(key.private.sign("\n".join(lines).encode())).decode()
    headers = {name: value for name, value in given.items() if not name.startswith("@")}
    headers |= {"signature-input": f"wimse={text}", "signature": f"wimse=:{signature}:", "host": given["@authority"]}
    return [text for entry in headers.items() for text in entry]


def link_id(link: str) -> str:
    return b64u_encode(hashlib.sha256(link.rpartition(".")[0].encode()).digest())


def common(sub: str, key: Key, **changes: Any) -> Json:
    claims = {
        "act": {"sub": sub},
        "cnf": {"jwk": key.jwk},
        "aud": [TD],
        "jti": "0123456789abcdef",
        "iat": NOW - 10,
        "exp": NOW + 3600,
        "scope": ["cloud:*"],
        "max_depth": 5,
    }
    claims.update(changes)
    return {name: value for name, value in claims.items() if value is not None}


def root_link(sub: str, key: Key, **changes: Any) -> str:
    claims = common(sub, key, **changes)
    urn = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:" + ALICE.jkt
    claims = {"iss": urn, "sub": "mailto:alice@company.com", **claims}
    return sign("dlink+jwt", claims, ALICE, kid=False)


def key_binding(sub: str, key: Key, exp: int = NOW + 9000) -> Json:
    bound = jcs({"exp": exp, "jkt": key.jkt, "sub": sub})
    header = f'{{"alg":"Ed25519","kid":"{ISSUER.jkt}","typ":"kb+jwt"}}'.encode()
    return {"exp": exp, "kid": ISSUER.jkt, "sig": raw_jws(header, bound, ISSUER).rpartition(".")[2]}


def further_link(parent: str, by: str, by_key: Key, sub: str, key: Key, **changes: Any) -> str:
    """A child of `parent`, signed by its delegatee `by`."""
    claims = {"par_hash": link_id(parent), "kb": key_binding(by, by_key), **common(sub, key)}
    claims.update(changes)
    return sign("dlink+jwt", {n: v for n, v in claims.items() if v is not None}, by_key, kid=False)


def anchor(**changes: Any) -> Json:
    return {
        "kind": "principal",
        "jwk": ALICE.jwk,
        "principals": ["mailto:alice@company.com"],
        "human": True,
        "delegatees": [f"spiffe://{TD}/agent/a/*"],
        "domains": [TD, "partner.com"],
        "scope": ["cloud:*", "ec2:Describe*"],
        "max_ttl": 7200,
        "max_depth": 5,
        **changes,
    }


def wit(sub: str, key: Key, signer: Key = ISSUER, **changes: Any) -> str:
    claims = {
        "iss": f"spiffe://{TD}",
        "sub": sub,
        "iat": NOW - 100,
        "exp": NOW + 3600,
        "jti": "0123456789abcdef",
        "cnf": {"jwk": key.jwk},
        **changes,
    }
    return sign("wit+jwt", claims, signer)


def roles(**changes: Any) -> str:
    claims = {"trust_domain": TD, "epoch": 2, "iat": NOW - 9, "exp": NOW + 9000, "root": ROOT.jwk}
    keys = {"policy": [Key("policy").jwk], "timestamp": [TIMESTAMP.jwk], "issuers": [ISSUER.jwk], "root_issuers": []}
    claims = {**claims, **keys, "x509": ["AQID"], **changes}
    return sign("roles+jwt", claims, ROOT)


def link_approval(**changes: Any) -> str:
    claims = {
        "approver": "mailto:carol@company.com",
        "principal": "mailto:alice@company.com",
        "delegatee": agent("a"),
        "parent": ALICE.jkt,
        "scope": ["cloud:*"],
        "iat": NOW - 5,
        "exp": NOW + 60,
        "jti": "0123456789abcdef",
        **changes,
    }
    return sign("link-approval+jwt", claims, Key("carol"))


def quarantine_release(**changes: Any) -> str:
    claims = {
        "aud": agent("a"),
        "exp": NOW + 60,
        "iat": NOW - 5,
        "id": digest_of("a request"),
        "jti": "0123456789abcdef",
        "why": "",
        **changes,
    }
    return sign("quarantine-release+jwt", claims, Key("bob"))


def timestamp(over: str, signer: Key = TIMESTAMP, **changes: Any) -> str:
    claims = {"trust_domain": TD, "epoch": 2, "seq": 7, "digest": digest_of(over), "iat": NOW - 5, "exp": NOW + 295}
    return sign("timestamp+jwt", {**claims, **changes}, signer)


def digest_of(text: str) -> str:
    return b64u_encode(hashlib.sha256(text.encode()).digest())


def bundle(signer: Key = Key("policy"), **changes: Any) -> str:
    claims = {
        "trust_domain": TD,
        "epoch": 2,
        "seq": 7,
        "iat": NOW - 9,
        "exp": NOW + 900,
        "roles": roles(),
        "domains": {},
        "anchors": [anchor()],
        "revoked": [{"key": Key("lost").jkt}],
        **changes,
    }
    return sign("bundle+jwt", claims, signer)


class Log:
    """Writes an audit log."""

    def __init__(self, sidecar: str, audit_key: Key) -> None:
        self.sidecar, self.audit_key = sidecar, audit_key
        self.wit = wit(sidecar, Key("log agent"), audit_jwk=audit_key.jwk)
        self.log = b64u_encode(bytes(16))
        self.lines: list[bytes] = []
        self.prev = self.pred = ""

    def add(self, kind: str, **members: Any) -> None:
        seq = len(self.lines) + 1
        record = {"v": 1, "kind": kind, "log": self.log, "seq": seq, "prev": self.prev, "time": NOW * 1000 + seq}
        body = jcs({**record, "sidecar": self.sidecar, **members})
        self.prev = b64u_encode(hashlib.sha256(body).digest())
        self.lines.append(body[:-1] + f',"hash":"{self.prev}"}}'.encode())

    def checkpoint(self, **changes: Any) -> None:
        claims = {"log": self.log, "sub": self.sidecar, "seq": len(self.lines) + 1, "prev": self.prev}
        claims = {**claims, "pred": self.pred, "iat": NOW, **changes}
        self.add("checkpoint", proof=sign("audit-cp+jwt", claims, self.audit_key), wit=self.wit)
        self.pred = self.prev

    def data(self) -> bytes:
        return b"".join(line + b"\n" for line in self.lines)
