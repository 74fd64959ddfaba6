#!/usr/bin/env bash
# Builds authz.tar.gz (policy, data, WebAssembly, signature) and the public key beside it, with the opa on PATH or in HOPGATE_OPA.
# The private key is thrown away: tests sign what they change under keys of their own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/policy"
cp authz.rego data.json "$scratch/policy"
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$scratch/key.pem"
openssl pkey -in "$scratch/key.pem" -pubout -out authz.pub.pem
here=$PWD
cd "$scratch/policy"
entrypoints=()
for rule in allow decision odd fraction guest spin hoard; do entrypoints+=(-e "hopgate/authz/$rule"); done
"${HOPGATE_OPA:-opa}" build --bundle --target wasm "${entrypoints[@]}" --revision 7 \
  --signing-key "$scratch/key.pem" --signing-alg ES256 --output "$here/authz.tar.gz" .
