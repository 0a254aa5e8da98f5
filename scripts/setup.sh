#!/usr/bin/env bash
# Prepares what the Makefile's targets run on, on a fresh Debian or Ubuntu: .venv with the pinned dependencies, and Nix.
#
#   scripts/setup.sh runtime    what the service runs on        (requirements.txt)
#   scripts/setup.sh dev        and what tests and checks need  (requirements-dev.txt, redis-server)
#   scripts/setup.sh bench      and what benchmarks need        (wrk)
#
# Done before means done in milliseconds. Debian packages are installed only as root or with passwordless sudo; otherwise one line
# says what is missing and how to get it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly OLDEST_MINOR=11
readonly VENV=.venv
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fail() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

# step LABEL COMMAND…: one line a person can watch; the command's own output shows only when it fails.
step() {
    local label=$1 started=$SECONDS
    shift
    printf 'setup: %s … ' "$label"
    if ! "$@" >"$log" 2>&1 </dev/null; then
        printf 'failed\n'
        tail -n 20 "$log" >&2
        return 1
    fi
    printf 'done in %ds\n' $((SECONDS - started))
}

# --- Debian packages

as_root=()
may_install() {
    command -v apt-get >/dev/null || return 1
    [[ $(id -u) -eq 0 ]] && return 0
    as_root=(sudo -n)
    command -v sudo >/dev/null && sudo -n true 2>/dev/null
}

apt() {
    # A fresh machine's own upgrade may hold the lock for the first minutes; -n lists no service restarts to ask about.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq -o DPkg::Lock::Timeout=180 "$@"
}

# The lists are fetched only when apt does not know the package, or what it knows is no longer there.
apt_install() {
    if apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]' && apt install -y --no-install-recommends "$1"; then
        return
    fi
    apt update && apt install -y --no-install-recommends "$1"
}

# need PACKAGE WHAT ELSE: installs a Debian package, or says in one line what is missing and how to get it.
need() {
    may_install || fail "$2 is missing: run 'sudo apt-get install $1'$3"
    step "installing $1 (apt)" apt_install "$1" || fail "$2 is missing and apt-get could not install $1: see above"
}

# --- Python

new_enough() {
    command -v "$1" >/dev/null && "$1" -c "import sys; sys.exit(sys.version_info < (3, $OLDEST_MINOR))" 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    local found
    found=$(${PYTHON:-python3} --version 2>/dev/null || echo "none")
    fail "Python 3.$OLDEST_MINOR or newer is missing (found: $found): install it, or name one with PYTHON=/path/to/python3"
}

pip() {
    "$VENV/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@"
}

# What a virtual environment was made from. A copy in another folder counts as another: its scripts point to the old one.
fingerprint() {
    { pwd -P; "$1" -VV; cat setup.py requirements.txt; [[ $2 == runtime ]] || cat requirements-dev.txt; } | sha256sum
}

up_to_date() {
    [[ -x $VENV/bin/python && -f $VENV/setup-$2 && $(<"$VENV/setup-$2") == "$(fingerprint "$1" "$2")" ]]
}

make_venv() {
    local minor
    if ! "$1" -c 'import ensurepip, venv' 2>/dev/null; then
        minor=$("$1" -c 'import sys; print(sys.version_info.minor)')
        need "python3.$minor-venv" "Python's venv module" ''
    fi
    step 'making .venv' "$1" -m venv --clear "$VENV" || fail "$1 could not make $VENV: see above"
}

prepare_python() {
    local python=$1 wanted=$2 file=requirements.txt
    up_to_date "$python" "$wanted" && return
    # Development dependencies are a superset: they go on top of an up-to-date runtime, and everything else starts afresh.
    if [[ $wanted == runtime || -f $VENV/setup-dev ]] || ! up_to_date "$python" runtime; then
        make_venv "$python"
    fi
    [[ $wanted == runtime ]] || file=requirements-dev.txt
    step "installing $(grep -c '==' "$file") Python packages, a minute or so" pip install -r "$file" ||
        fail "pip could not install $file: see above"
    step 'installing the service itself' pip install --no-deps -e . || fail 'pip could not install the service: see above'
    fingerprint "$python" runtime >"$VENV/setup-runtime"
    [[ $wanted == runtime ]] || fingerprint "$python" dev >"$VENV/setup-dev"
}

case ${1:-} in
    runtime | dev) wanted=$1 ;;
    bench)
        wanted=dev
        command -v wrk >/dev/null || need wrk 'the load generator wrk' ''
        ;;
    *) fail 'usage: scripts/setup.sh runtime|dev|bench' ;;
esac
python=$(find_python)
command -v nix-build >/dev/null || need nix-bin Nix ', or take the installer of nixos.org'
[[ $wanted == runtime ]] || command -v redis-server >/dev/null || need redis-server Redis ''
prepare_python "$python" "$wanted"
