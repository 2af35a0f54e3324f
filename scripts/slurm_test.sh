#!/usr/bin/env bash
# Runs the jobs of `uc submit --slurm` on a Slurm of one machine, which this script brings up and takes down: one job is
# preempted, one loses its node, one is cancelled and sent again. What comes out must equal, byte for byte, what
# `uc submit --local` makes. Needs root and Debian's packages slurm-wlm and munge; without them it says so and ends well.
# usage: slurm_test.sh [UC]
set -euo pipefail
uc=${1:-$(cd "$(dirname "$0")/.." && pwd)/bin/uc}
for need in slurmctld slurmd munged sbatch squeue scontrol; do
  if ! command -v "$need" >/dev/null; then
    echo "skipped: $need is not installed (Debian: slurm-wlm, munge)"
    exit 0
  fi
done
if [ "$(id -u)" != 0 ]; then
  echo "skipped: a Slurm for tests needs root"
  exit 0
fi

dir=$(mktemp -d)
export SLURM_CONF=$dir/slurm.conf
stop() {
  [ -s "$dir/slurmd.pid" ] && kill "$(cat "$dir/slurmd.pid")" 2>/dev/null || true
  [ -s "$dir/slurmctld.pid" ] && kill "$(cat "$dir/slurmctld.pid")" 2>/dev/null || true
  [ -n "${munge:-}" ] && kill "$munge" 2>/dev/null || true
  sleep 1
  rm -rf "$dir"
}
trap stop EXIT
fail() {
  echo "FAILED: $*" >&2
  "$uc" status --data-root "$dir/data" 900 >&2 || true
  squeue >&2 || true
  tail -n 20 "$dir"/data/preprocessed/*/jobs/logs/*.out "$dir/slurmctld.log" >&2 || true
  exit 1
}

mkdir -p "$dir"/{state,spool} /run/munge
chmod 755 "$dir"
chown -R munge:munge /etc/munge /var/lib/munge /var/log/munge /run/munge
[ -s /etc/munge/munge.key ] || { dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024 status=none; chown munge /etc/munge/munge.key; chmod 400 /etc/munge/munge.key; }
host=$(hostname -s)
cat >"$SLURM_CONF" <<CONF
ClusterName=uctest
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=batch_sched_delay=1,bf_interval=1
SlurmdParameters=config_overrides
SlurmdTimeout=5
KillWait=5
ReturnToService=2
SlurmctldPort=16827
SlurmdPort=16828
MpiDefault=none
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=64000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL Default=NO MaxTime=INFINITE State=UP PriorityTier=10
CONF
runuser -u munge -- munged --foreground --force >"$dir/munged.log" 2>&1 &
munge=$!
slurmctld -f "$SLURM_CONF"
slurmd -f "$SLURM_CONF"
for _ in $(seq 60); do
  sinfo -h -o %t 2>/dev/null | grep -q idle && break
  sleep 0.5
done
sinfo -h -o %t | grep -q idle || { tail "$dir"/*.log; echo "Slurm did not come up"; exit 1; }

options=(--folds 0-1 --shards 3 --cpus 1 "--train-args=--epochs 4 --iterations 6 --val-iterations 1 --batch-size 4")
echo "== on this machine"
"$uc" demo "$dir/local" --cases 20 --test-cases 1 >/dev/null
"$uc" submit --data-root "$dir/local" 900 --local "${options[@]}" 2>&1 | grep -v begins

echo "== on Slurm"
"$uc" demo "$dir/data" --cases 20 --test-cases 1 >/dev/null
"$uc" submit --data-root "$dir/data" 900 --slurm "${options[@]}"
jobs=$dir/data/preprocessed/Task900_Phantom/jobs
logs=$jobs/logs
state() { "$uc" status --data-root "$dir/data" 900 --json | tr -d '\n ' | sed 's/},{/}\n{/g' | grep "\"command\":\"$1\"" | sed 's/.*"state":"\([^"]*\)".*/\1/'; }
until_true() { # what, seconds, command
  local what=$1 most=$2
  shift 2
  for _ in $(seq "$most"); do
    "$@" && return 0
    sleep 1
  done
  fail "$what did not happen within $most s"
}
trains() { grep -q "epoch 1/" "$logs/train-fold$1.log" 2>/dev/null; }

until_true "the first training" 300 trains 0
echo "== preempting what trains"
sbatch --partition=urgent --nodes=1 --ntasks=1 --cpus-per-task=2 --output=/dev/null --wait --wrap "sleep 2" >/dev/null
preempted() { [ "$(grep -c 'job .*: uc train' "$logs/train-fold0.log")" -ge 2 ]; }
until_true "a second run of the preempted training" 120 preempted

echo "== losing the node"
kill -9 "$(cat "$dir/slurmd.pid")"
pkill -9 slurmstepd || true
pkill -9 -f "$dir/spool/.*slurm_script" || true
pkill -9 -f "$uc train.*--seed 1" || true
down() { sinfo -h -o %t | grep -q down; }
until_true "the loss of the node" 60 down
slurmd -f "$SLURM_CONF"
again() { [ "$(grep -c 'job .*: uc train' "$logs/train-fold0.log")" -ge 3 ]; }
until_true "a run after the loss of the node" 180 again

echo "== cancelling what is left, and sending it again"
"$uc" submit --data-root "$dir/data" 900 --cancel
empty() { [ -z "$(squeue -h)" ]; }
until_true "the end of the cancelled jobs" 60 empty
"$uc" submit --data-root "$dir/data" 900 --slurm --resume
until_true "the end of all jobs" 600 empty
"$uc" status --data-root "$dir/data" 900
[ "$(state evaluate)" = done ] || fail "the evaluation is $(state evaluate)"

compared=0
for file in evaluation/evaluation.csv fold_0/validation_raw fold_1/validation_raw; do
  model=trained_models/nnUNet/3d_fullres/Task900_Phantom/ClassifierTrainer__UniversalClassifierPlansv1.0
  while read -r path; do
    rel=${path#"$dir/local/"}
    cmp "$path" "$dir/data/$rel" || fail "$rel differs from that of the run on this machine"
    compared=$((compared + 1))
  done < <(find "$dir/local/$model/$file" -name '*.npz' -o -name evaluation.csv)
done
[ "$compared" -ge 9 ] || fail "only $compared files were compared"
echo "ok: $compared files equal those of the run on this machine, byte for byte"
