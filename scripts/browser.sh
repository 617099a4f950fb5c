#!/bin/sh
# Sees to it that there is a Chromium for the tests of the report; `make test` calls it.
#
#   sh scripts/browser.sh
#   MILLRACE_CHROMIUM=/path/to/chromium sh scripts/browser.sh
#
# As root on Debian it installs one where there is none. Elsewhere it says what to install and ends well: the tests
# that need a browser are then skipped, with this reason.
set -eu
for candidate in "${MILLRACE_CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1; then
        exit 0
    fi
done
advice="No Chromium was found: the tests of the report in a browser are skipped. Install one (Debian: apt-get install chromium), or set MILLRACE_CHROMIUM to its path."
if [ -n "${MILLRACE_CHROMIUM:-}" ]; then
    echo "MILLRACE_CHROMIUM=$MILLRACE_CHROMIUM is no program. $advice" >&2
elif [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "$advice" >&2
else
    echo "Installing Chromium for the tests of the report ..." >&2
    export DEBIAN_FRONTEND=noninteractive
    if ! { apt-get update && apt-get install -y --no-install-recommends chromium; } >/tmp/millrace-chromium.log 2>&1; then
        echo "apt-get could not install it; see /tmp/millrace-chromium.log. $advice" >&2
    fi
fi
