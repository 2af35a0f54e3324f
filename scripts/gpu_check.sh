#!/usr/bin/env bash
# gpu_check.sh: everything that can be learned only from a card, in one go of less than 8 minutes: what the machine has, the conformance of all
# operations, the reference's numbers, times beside PyTorch, and one table at the end. No Go is needed:
#
#   make gpu-kit                                   # here; writes dist/gpu-check
#   scp -r dist/gpu-check card:; ssh card gpu-check/gpu_check.sh [--peer pytorch_i3d.py] [--python python3] [--seconds 470] [--out DIR]
#
# --peer is a script that times the same network in PyTorch and takes --shape --batch --dtype --device --channels-last --compile --json.
# Each part gets what is left of the time, most important first; what was not reached shows as "-".
set -uo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
python=python3
peer=
seconds=470
out=$here/results
while [ $# -gt 0 ]; do
  case $1 in
  --peer) peer=$(realpath "$2") ;;
  --python) python=$2 ;;
  --seconds) seconds=$2 ;;
  --out) out=$2 ;;
  *)
    echo "usage: $0 [--peer SCRIPT] [--python PYTHON] [--seconds N] [--out DIR]" >&2
    exit 2
    ;;
  esac
  shift 2
done
mkdir -p "$out"
out=$(cd "$out" && pwd)
uc=$here/uc
rows=$out/table.txt
: >"$rows"
failed=0

# left is the time that remains, in whole seconds.
left() { echo $((seconds - SECONDS)); }

# row WHAT RESULT adds a line to the table.
row() { printf '%-58s %s\n' "$1" "$2" | tee -a "$rows"; }

# part NAME LIMIT COMMAND...: runs a command for at most LIMIT seconds of what is left; its output goes to NAME.log.
part() {
  local name=$1 limit=$2
  shift 2
  [ "$(left)" -lt "$limit" ] && limit=$(left)
  [ "$limit" -lt 5 ] && return 125
  timeout -k 5 "$limit" "$@" >"$out/$name.log" 2>"$out/$name.err"
}

# tests NAME FOLDER LIMIT PATTERN: runs a compiled test binary where its test data lie.
tests() {
  local name=$1 folder=$2 limit=$3 pattern=$4 before=$SECONDS status
  (cd "$here/$folder" && part "$name" "$limit" "$here/${folder##*/}.test" -test.v -test.timeout=10m -test.run "$pattern")
  status=$?
  local passed not
  passed=$(grep -cE '^ +--- PASS.*cuda' "$out/$name.log" 2>/dev/null)
  not=$(grep -cE '^ +--- FAIL.*cuda' "$out/$name.log" 2>/dev/null)
  case $status in
  0) row "$name" "passed: $passed tests on the card, $((SECONDS - before)) s" ;;
  125) row "$name" - ;;
  124 | 137) row "$name" "out of time; so far $passed passed, $not failed" && failed=1 ;;
  *) row "$name" "FAILED: $not of $((passed + not)) tests on the card, see $name.log" && failed=1 ;;
  esac
}

# number FIELD FILE reads a number from a line of JSON, or prints nothing.
number() { tr -d ' \n' <"$2" 2>/dev/null | sed -n "s/.*\"$1\":\([0-9.eE+-]*\).*/\1/p"; }

ours() { # SHAPE BATCH DTYPE LIMIT [SUFFIX]
  part "uc-${1%%,*}-b$2-$3${5:-}" "$4" "$uc" bench --device cuda --shape "$1" --batch "$2" --dtype "$3" --steps 15 --json
}

theirs() { # SHAPE BATCH DTYPE LIMIT FLAGS...
  local shape=$1 batch=$2 dtype=$3 limit=$4
  shift 4
  [ -z "$peer" ] && return 125
  part "pytorch-${shape%%,*}-b$batch-$dtype$(printf '%s' "$@" | tr -d ' ')" "$limit" "$python" "$peer" --device cuda --shape "$shape" --batch "$batch" --dtype "$dtype" --steps 15 --json "$@"
}

# compare SHAPE BATCH DTYPE puts the best times of both sides into the table.
compare() {
  local size=${1%%,*} field what mine best ratio f v
  for field in train_step_s inference_s; do
    what="training step"
    [ $field = inference_s ] && what=inference
    mine=$(number $field "$out/uc-$size-b$2-$3.log")
    for kind in eager compiled; do
      best=
      for f in "$out/pytorch-$size-b$2-$3"*.log; do
        case $f in *--compile*) [ $kind = eager ] && continue ;; *) [ $kind = compiled ] && continue ;; esac
        v=$(number $field "$f")
        [ -n "$v" ] && best=$(awk -v a="$v" -v b="${best:-1e9}" 'BEGIN { print a < b ? a : b }')
      done
      ratio=-
      [ -n "$mine" ] && [ -n "$best" ] && ratio=$(awk -v a="$mine" -v b="$best" 'BEGIN { printf "%.2f", a / b }')
      row "$size^3, batch $2, $3: $what, uc / PyTorch $kind (s)" "${mine:--} / ${best:--}, ratio $ratio"
    done
  done
}

row "$("$uc" version | head -1)" "$(date -u '+%Y-%m-%d %H:%M') UTC"
"$uc" info | sed '/^folders/,$d' | tee "$out/info.log"
"$uc" info --json >"$out/info.json"
grep -q '"usable": true' "$out/info.json" || {
  echo "no usable GPU: $(sed -n 's/.*"verdict": "\(.*\)".*/\1/p' "$out/info.json")" >&2
  exit 1
}
row "card" "$(grep -o '"name": "[^"]*"' "$out/info.json" | head -1 | cut -d'"' -f4)"

# Right first, fast second.
tests conformance internal/device/open 150 '^TestDevices$/^cuda$'
tests reference internal/i3d 150 '^(TestEval|TestTrain|TestSteps)$/./^cuda$'

ours 64,64,64 7 bf16 90
theirs 64,64,64 7 bf16 60 --channels-last
ours 240,240,240 2 bf16 120
theirs 240,240,240 2 bf16 60 --channels-last
ours 128,128,128 8 bf16 90
theirs 128,128,128 8 bf16 60 --channels-last
ours 240,240,240 1 bf16 60
theirs 240,240,240 1 bf16 60 --channels-last
theirs 64,64,64 7 bf16 120 --channels-last --compile
theirs 64,64,64 7 bf16 60
theirs 240,240,240 2 bf16 60
theirs 128,128,128 8 bf16 60
UC_CUDA_GRAPH=0 ours 64,64,64 7 bf16 60 -apart
ours 64,64,64 2 fp32 60
theirs 64,64,64 2 fp32 60 --channels-last

echo
compare 64,64,64 7 bf16
compare 128,128,128 8 bf16
compare 240,240,240 2 bf16
compare 240,240,240 1 bf16
compare 64,64,64 2 fp32
row "64^3, batch 7, bf16: training step without a CUDA graph (s)" "$(number train_step_s "$out/uc-64-b7-bf16-apart.log")"
for f in "$out"/uc-*.log; do
  case $f in *-apart.log) continue ;; esac
  v=$(number memory_mib "$f")
  [ -n "$v" ] && row "$(basename "$f" .log): memory" "$v MiB"
done
row "time of this check" "$SECONDS s"
echo
echo "=== $rows"
cat "$rows"
exit $failed
