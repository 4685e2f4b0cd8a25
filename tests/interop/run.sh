#!/usr/bin/env bash
# The official SDKs for Python, Node and Rust against the embedded engine of the quickstart.
#
# Installs the SDKs into a cache folder below the target folder, starts the quickstart on free ports and runs, for each
# SDK, its scenario; then all three and the quickstart call each other, before and after the engine has gone away and come
# back. Prints a line that begins with `ok` for each thing that works; anything else ends it with an error.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
cache="$target/interop"
# Versions are fixed, so that a new release is met on purpose and not by surprise.
python_sdk=iii-sdk==0.25.0
node_sdk=iii-sdk@0.22.1
mkdir -p "$cache"

# Nothing of the caller's own workers gets in.
for name in $(compgen -e | grep '^III_' || true); do unset "$name"; done
export OTEL_ENABLED=false PYTHONWARNINGS=ignore RUST_LOG="${RUST_LOG:-warn}"

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
cargo build --quiet --manifest-path "$root/Cargo.toml" --package iii-tests --bin quickstart-under-test
CARGO_TARGET_DIR="$cache/rust" cargo build --quiet --locked --manifest-path "$here/rust/Cargo.toml"
quickstart="$target/debug/quickstart-under-test"
python=("$cache/python/bin/python" "$here/worker.py")
node=(node "$here/worker.mjs")
rust=("$cache/rust/debug/interop-rust")

rm -f "$cache"/*.log

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

# start_engine WORKER_PORT HTTP_PORT: port 0 is a free one. Sets `engine`, and the ports that were taken.
start_engine() {
  # With III_URL it would be a worker of another engine.
  env -u III_URL III_WORKER_PORT="$1" III_HTTP_PORT="$2" III_STREAM_PORT=0 "$quickstart" >"$cache/engine.log" 2>&1 &
  engine=$!
  children+=("$engine")
  wait_for 20 "the engine" grep -q ' workers  *ws://' "$cache/engine.log"
  worker_port=$(sed -n 's/^ *workers  *ws:.*:\([0-9]*\)$/\1/p' "$cache/engine.log")
  http_port=$(sed -n 's/^ *http  *http:.*:\([0-9]*\)$/\1/p' "$cache/engine.log")
}

start_engine 0 0
export III_URL="ws://127.0.0.1:$worker_port" INTEROP_HTTP="http://127.0.0.1:$http_port"
export INTEROP_NODE="$cache/node"
echo "the engine: workers $III_URL, http $INTEROP_HTTP"

# run NAME COMMAND...: runs a program within a minute; its output is shown and must not lack the last line.
run() {
  local name=$1
  shift
  timeout 60 "$@" 2>"$cache/$name.log" | tee "$cache/$name.out" | grep '^ok '
  grep -q '^ok .*' "$cache/$name.out"
}

run python "${python[@]}" scenario
run node "${node[@]}" scenario
run rust "${rust[@]}" scenario

# serve NAME COMMAND...: starts a program that stays.
serve() {
  local name=$1
  shift
  "$@" serve >"$cache/serve-$name.log" 2>&1 &
  children+=("$!")
}

alive() {
  [ "$(curl --silent --fail --max-time 5 "$INTEROP_HTTP/alive/$1")" = "\"$1\"" ]
}

serve python "${python[@]}"
serve node "${node[@]}"
serve rust "${rust[@]}"
for name in python node rust; do wait_for 20 "the $name server" alive "$name"; done
run mixed "${python[@]}" mixed

# The engine goes away twice: politely, and as a crash.
for signal in TERM KILL; do
  kill -s "$signal" "$engine"
  wait "$engine" 2>/dev/null || true
  start_engine "$worker_port" "$http_port"
  for name in python node rust; do
    wait_for 45 "the $name server after SIG$signal" alive "$name"
    echo "ok $name comes back after SIG$signal of the engine"
  done
  run mixed "${python[@]}" mixed
done
echo "interop is fine"
