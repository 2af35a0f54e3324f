#!/usr/bin/env bash
# uc_train.sh DATA [flags of uc train]: runs uc train on the data root DATA, the folder that holds preprocessed/.
set -euo pipefail

if [ $# -lt 1 ]; then
  echo "Please pass as first argument to $0 a directory that contains ./preprocessed/" >&2
  exit 2
fi
if [ ! -d "$1/preprocessed" ]; then
  echo "Please make sure that $1/preprocessed/ exists" >&2
  exit 2
fi
mkdir -p "$1/trained_models"

# The program: $UC, else the one built in this checkout, else the one on the PATH.
uc=${UC:-$(dirname "$0")/../bin/uc}
[ -x "$uc" ] || uc=$(command -v uc) || {
  echo "uc not found: run 'make build', or put uc on the PATH" >&2
  exit 2
}
exec "$uc" train --data-root "$1" "${@:2}"
