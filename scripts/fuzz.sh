#!/usr/bin/env bash
# Runs every fuzz target of the module, or those of the packages given, for FUZZTIME each (default 10s).
# Usage: [FUZZTIME=10s] scripts/fuzz.sh [PACKAGE...]
# An input that fails is kept in the package's testdata/fuzz: commit it with the repair.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
time=${FUZZTIME:-10s}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

count=0
failed=()
while read -r package dir files; do
  targets=$(cd "$dir" && sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(f \*testing\.F).*/\1/p' $files)
  [ -n "$targets" ] || continue
  "$go" test -c -fuzz . -o "$tmp/fuzz.test" "$package" # once for all targets of the package
  for target in $targets; do
    echo "$package $target"
    count=$((count + 1))
    (cd "$dir" && "$tmp/fuzz.test" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$time" \
      -test.fuzzcachedir "$("$go" env GOCACHE)/fuzz/$package") >"$tmp/out" 2>&1 || {
      cat "$tmp/out"
      # The engine may report that its own time is up as a failure (golang/go#75804). A failure of the target writes its input.
      if grep -qx '    context deadline exceeded' "$tmp/out" && ! grep -qE 'Failing input written|hung or terminated|panic:|testing.go' "$tmp/out"; then
        echo "$package $target: no failing input, time is up"
      else
        failed+=("$package $target")
      fi
    }
  done
done < <("$go" list -f '{{$p := .}}{{with or .TestGoFiles .XTestGoFiles}}{{$p.ImportPath}} {{$p.Dir}} {{join $p.TestGoFiles " "}} {{join $p.XTestGoFiles " "}}{{end}}' "${@:-./...}" | grep .)

if [ "$count" = 0 ]; then
  echo "no fuzz target found"
  exit 1
fi
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}"
  exit 1
fi
echo "$count targets, $time each"
