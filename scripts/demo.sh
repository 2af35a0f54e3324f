#!/usr/bin/env bash
# demo.sh DIR: the whole workflow on phantom scans, with the commands a user would type: generate, plan and preprocess,
# train two folds of the cross-validation, predict scans that no fold has seen, evaluate.
set -euo pipefail

if [ $# -ne 1 ]; then
  echo "usage: $0 DIR" >&2
  exit 2
fi
uc=${UC:-$(dirname "$0")/../bin/uc}
root=$1
began=$SECONDS

run() {
  echo
  echo "\$ uc $*"
  "$uc" "$@"
}

rm -rf "$root/preprocessed" "$root/trained_models" "$root/predictions"
run demo "$root"
run plan-and-preprocess --data-root "$root" -t 900 -tf 2 -tl 2 --verify_dataset_integrity
for fold in 0 1; do
  run train --data-root "$root" 3d_fullres ClassifierTrainer 900 $fold \
    --epochs 10 --iterations 25 --val-iterations 4 --batch-size 8 --seed 1
done
scans=$root/raw/nnUNet_raw_data/Task900_Phantom
run predict --data-root "$root" -i "$scans/imagesTs" -s "$scans/labelsTs" -o "$root/predictions" -t 900 -f 0 1
run evaluate --data-root "$root" 900 -f 0 1

echo
echo "Training progress of the folds:"
ls "$root"/trained_models/nnUNet/3d_fullres/Task900_Phantom/*/fold_*/progress.png
echo
echo "Done in $((SECONDS - began)) s."
