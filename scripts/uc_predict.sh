#!/usr/bin/env bash
# uc_predict.sh DATA [flags of uc predict]: runs uc predict on the data root DATA, the folder that holds trained_models/.
set -euo pipefail

if [ $# -lt 1 ]; then
  echo "Please pass as first argument to $0 a directory that contains ./trained_models/" >&2
  exit 2
fi
if [ ! -d "$1/trained_models" ]; then
  echo "Please make sure that $1/trained_models/ exists" >&2
  exit 2
fi

# The program: $UC, else the one built in this checkout, else the one on the PATH.
uc=${UC:-$(dirname "$0")/../bin/uc}
[ -x "$uc" ] || uc=$(command -v uc) || {
  echo "uc not found: run 'make build', or put uc on the PATH" >&2
  exit 2
}
exec "$uc" predict --data-root "$1" "${@:2}"
