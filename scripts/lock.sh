#!/usr/bin/env bash
# Compiles setup.py's ranges to exact pins: requirements.txt and requirements-dev.txt, a superset with the same versions.
#
#   scripts/lock.sh              keeps every pin that still fits
#   scripts/lock.sh --upgrade    takes the newest of everything (or --upgrade-package NAME)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# On the oldest supported Python, so that what only that one needs is there too.
.venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || {
    echo 'lock: the pins are compiled on Python 3.11: make clean && PYTHON=python3.11 make lock' >&2
    exit 1
}
export CUSTOM_COMPILE_COMMAND='make lock'

# Where packages come from is each machine's own business: no index, folder or host may end up in the pins.
compile() {
    .venv/bin/pip-compile --quiet --strip-extras --allow-unsafe \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host "$@" setup.py
}
compile "$@" --output-file requirements.txt
compile "$@" --extra dev --constraint requirements.txt --output-file requirements-dev.txt
