#!/usr/bin/env bash
# Builds the wheel of this platform, installs it into a fresh environment and runs its tests there.
# Usage: scripts/wheel/check.sh [PYTHON]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${1:-python3}
if ! command -v "$python" >/dev/null; then
  echo "skipped: there is no $python"
  exit 0
fi
if ! "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
  echo "skipped: $python is older than 3.8, or has no venv (Debian: apt install python3-venv)"
  exit 0
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp" # another user is to read it
"$python" "$here/build_backend.py" --host --out "$tmp/dist"
"$python" -m venv "$tmp/venv"
"$tmp/venv/bin/python" -m pip --quiet --disable-pip-version-check install --no-index "$tmp"/dist/*.whl
cp "$here"/tests/*.py "$here"/../container/process.py "$tmp"
cd "$tmp"
"$tmp/venv/bin/python" -W error::ResourceWarning -m unittest test_wheel
