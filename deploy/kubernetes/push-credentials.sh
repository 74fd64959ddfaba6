#!/usr/bin/env bash
# Puts what `hopgate init DIR` made where the manifests look for it: for each agent a Secret, and the trust bundle as a
# ConfigMap. Run it again after each `hopgate init DIR --renew`: running sidecars read the new files by themselves.
# Keys of principals and of the root stay where they are.
set -euo pipefail

if [[ $# -lt 2 ]]; then
  echo "usage: $0 DIR TYPE/INSTANCE...    such as: $0 mesh planning/1 inventory/1 security/1" >&2
  exit 2
fi
mesh=$1
shift
namespace=${NAMESPACE:-agents}

# Server-side, because the other way keeps a copy of the whole Secret in an annotation.
apply() {
  kubectl --namespace "$namespace" create "$@" --dry-run=client --output yaml |
    kubectl apply --server-side --filename -
}

for agent in "$@"; do
  type=${agent%%/*}
  folder=$mesh/agents/${agent/\//-}
  files=()
  # By name: agent.pub.json and the sidecar's file for one machine have no business in the Secret.
  for file in svid.pem svid.key agent.key audit.key wit.jwt key-binding.json; do
    [[ -r $folder/$file ]] || { echo "$folder/$file: can't be read" >&2; exit 1; }
    files+=("--from-file=$file=$folder/$file")
  done
  apply secret generic "$type-identity" "${files[@]}"
done
apply configmap hopgate-bundle "--from-file=bundle.jws=$mesh/bundle.jws"
