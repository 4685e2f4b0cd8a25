#!/usr/bin/env bash
# The official SDKs for Python, Node and Rust against the engine.
#
# Installs the SDKs into a cache folder below the target folder, starts an engine on free ports and a worker of ours, and
# runs the scenario of each SDK; then all of them call and trigger each other, before and after the engine has gone away
# and come back. Prints a line that begins with `ok` for each check that passes; anything else ends it with an error. At the
# end a table shows what passed, and that nothing of checks.txt is missing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
cache="$target/interop"
# Versions are fixed, so that a new release is met on purpose and not by surprise. That for Rust is in rust/Cargo.lock.
python_sdk=iii-sdk==0.25.0
node_sdk=iii-sdk@0.22.1
# `on` for an engine that keeps traces: the SDKs then send theirs.
traces=on
mkdir -p "$cache"

# Nothing of the caller's own workers gets in.
for name in $(compgen -e | grep -E '^(III|OTEL)_' || true); do unset "$name"; done
export PYTHONPATH="$here" PYTHONWARNINGS=ignore PYTHONDONTWRITEBYTECODE=1 RUST_LOG="${RUST_LOG:-warn}"
export INTEROP_TRACES=$traces INTEROP_NODE="$cache/node"
[ "$traces" = on ] || export OTEL_ENABLED=false

children=()
finish() {
  status=$?
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  wait 2>/dev/null || true
  if [ "$status" -ne 0 ]; then
    for log in "$cache"/*.log; do echo "--- $log"; tail -n 40 "$log"; done >&2
    echo "interop failed" >&2
  fi
}
trap finish EXIT

# need COMMAND PACKAGE: installs a Debian package if the command is not there.
updated=
need() {
  if ! command -v "$1" >/dev/null; then
    [ -n "$updated" ] || apt-get update -qq
    updated=yes
    apt-get install -y -qq "$2" >/dev/null
  fi
}
need curl curl
need python3 python3
need node nodejs
need npm npm
python3 -c 'import ensurepip' 2>/dev/null || { apt-get update -qq; apt-get install -y -qq python3-venv >/dev/null; }

install_python() {
  if [ "$(cat "$cache/python.version" 2>/dev/null)" != "$python_sdk" ]; then
    python3 -m venv --clear "$cache/python"
    "$cache/python/bin/pip" install --quiet --disable-pip-version-check "$python_sdk"
    echo "$python_sdk" >"$cache/python.version"
  fi
}

install_node() {
  if [ "$(cat "$cache/node.version" 2>/dev/null)" != "$node_sdk" ]; then
    rm -rf "$cache/node"
    mkdir -p "$cache/node"
    echo '{"name":"interop","private":true}' >"$cache/node/package.json"
    npm install --silent --no-audit --no-fund --prefix "$cache/node" "$node_sdk"
    echo "$node_sdk" >"$cache/node.version"
  fi
}

echo "installing the SDKs and building"
install_python
install_node
cargo build --quiet --manifest-path "$root/Cargo.toml" --package iii-runtime --features iii-runtime/cli --bin iii
cargo build --quiet --manifest-path "$root/Cargo.toml" --package iii-tests --bin interop-worker
CARGO_TARGET_DIR="$cache/rust" cargo build --quiet --locked --manifest-path "$here/rust/Cargo.toml"
python=("$cache/python/bin/python" -m python)
node=(node "$here/node/main.mjs")
rust=("$cache/rust/debug/interop-rust")
ours=("$target/debug/interop-worker")

# What earlier runs left.
rm -rf "$cache"/*.log "$cache/results" "$cache/data"

# wait_for SECONDS WHAT COMMAND...: repeats a command until it succeeds.
wait_for() {
  local seconds=$1 what=$2 end
  shift 2
  end=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { echo "waited ${seconds} s for $what" >&2; exit 1; }
    sleep 0.1
  done
}

# start_engine WORKER_PORT HTTP_PORT STREAM_PORT: port 0 is a free one. Sets `engine`, and the ports that were taken.
start_engine() {
  "$target/debug/iii" engine --config "$here/engine.yaml" --data-dir "$cache/data" \
    --worker-port "$1" --http-port "$2" --stream-port "$3" >"$cache/engine.log" 2>&1 &
  engine=$!
  children+=("$engine")
  wait_for 20 "the engine" grep -q '^ *stores ' "$cache/engine.log"
  port_of() { sed -n "s/^ *$1  *[a-z]*:.*:\([0-9]*\)$/\1/p" "$cache/engine.log"; }
  worker_port=$(port_of workers) http_port=$(port_of http) stream_port=$(port_of streams)
}

start_engine 0 0 0
export III_URL="ws://127.0.0.1:$worker_port"
export INTEROP_HTTP="http://127.0.0.1:$http_port" INTEROP_STREAMS="ws://127.0.0.1:$stream_port"
echo "the engine: workers $III_URL, http $INTEROP_HTTP, streams $INTEROP_STREAMS"

# run NAME COMMAND...: runs a program within a minute; the checks that pass are shown and kept.
run() {
  local name=$1
  shift
  timeout 60 "$@" 2>"$cache/$name.log" | grep --line-buffered '^ok ' | tee -a "$cache/results"
}

# serve NAME COMMAND...: starts a worker that stays, and waits until the engine serves its route.
serve() {
  local name=$1
  shift
  "$@" >"$cache/serve-$name.log" 2>&1 &
  children+=("$!")
}

alive() {
  [ "$(curl --silent --fail --max-time 5 "$INTEROP_HTTP/alive/$1")" = "\"$1\"" ]
}

serve ours "${ours[@]}"
wait_for 20 "our worker" alive ours

run python "${python[@]}" scenario
run node "${node[@]}" scenario
run rust "${rust[@]}" scenario

serve python "${python[@]}" serve
serve node "${node[@]}" serve
serve rust "${rust[@]}" serve
for name in python node rust; do wait_for 20 "the $name server" alive "$name"; done
run mixed-first "${python[@]}" mixed first

# The engine goes away twice, politely and as a crash, and comes back with what it has stored.
for gone in "TERM again" "KILL at-last"; do
  read -r signal round <<<"$gone"
  kill -s "$signal" "$engine"
  wait "$engine" 2>/dev/null || true
  start_engine "$worker_port" "$http_port" "$stream_port"
  for name in python node rust ours; do
    wait_for 45 "the $name worker after SIG$signal" alive "$name"
    echo "ok $name back-after-SIG$signal" | tee -a "$cache/results"
  done
  run "mixed-$round" "${python[@]}" mixed "$round"
done

python3 "$here/summary.py" "$here/checks.txt" "$cache/results"
echo "interop is fine"
