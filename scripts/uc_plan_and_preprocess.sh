#!/usr/bin/env bash
# uc_plan_and_preprocess.sh DATA [flags of uc plan-and-preprocess]: runs uc plan-and-preprocess on the data root DATA, the folder that holds raw/.
set -euo pipefail

if [ $# -lt 1 ]; then
  echo "Please pass as first argument to $0 a directory that contains ./raw/" >&2
  exit 2
fi
if [ ! -d "$1/raw" ]; then
  echo "Please make sure that $1/raw/ exists" >&2
  exit 2
fi
mkdir -p "$1/preprocessed"

# The program: $UC, else the one built in this checkout, else the one on the PATH.
uc=${UC:-$(dirname "$0")/../bin/uc}
[ -x "$uc" ] || uc=$(command -v uc) || {
  echo "uc not found: run 'make build', or put uc on the PATH" >&2
  exit 2
}
exec "$uc" plan-and-preprocess --data-root "$1" "${@:2}"
