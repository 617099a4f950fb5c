#!/bin/sh
# Makes .venv, or brings it up to date; does nothing, quickly, when there is nothing to do.
#
#   sh scripts/env.sh
#   MILLRACE_PYTHON=/path/to/python3.12 sh scripts/env.sh
#
# All this file does is find a Python 3.11 to 3.13 that runs; bootstrap.py does the rest.
set -eu
scripts=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)

# A name on PATH can be a shim with nothing behind it, so each candidate is run. It answers with the interpreter
# behind it: never one that this project made (`.runtime/python`), nor a virtual environment on top of another.
probe='
import os, sys
real = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
fits = (3, 11) <= sys.version_info[:2] <= (3, 13) and sys.implementation.name == "cpython" and "t" not in sys.abiflags
if not fits or "/.runtime/python/" in real:
    sys.exit(1)
print(real)
'
if [ -n "${MILLRACE_PYTHON:-}" ]; then
    set -- "$MILLRACE_PYTHON"
else # first the one that the last build used, so that another PATH (cron, an editor) does not mean another build
    set -- "$(dirname -- "$scripts")/.runtime/host-python" python3.12 python3.13 python3.11 python3
fi
for candidate do
    if python=$("$candidate" -I -c "$probe" 2>/dev/null) && [ -n "$python" ]; then
        exec "$python" -E -s "$scripts/bootstrap.py"
    fi
done
if [ -n "${MILLRACE_PYTHON:-}" ]; then
    echo "MILLRACE_PYTHON=$MILLRACE_PYTHON is no Python 3.11, 3.12 or 3.13 that runs: name one that does, or unset it." >&2
else
    echo "No Python 3.11, 3.12 or 3.13 that runs was found: install one with its headers" \
        "(Debian, Ubuntu: apt-get install python3 python3-dev python3-venv), or set MILLRACE_PYTHON to its path." >&2
fi
exit 1
