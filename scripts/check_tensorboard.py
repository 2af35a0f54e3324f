#!/usr/bin/env python3
"""Reads the event files of a fold with the package `tensorboard` and compares them with what `uc train --json` printed.

Usage: check_tensorboard.py FOLD_DIR [TRAIN.json]
Needs tensorboard, and Pillow for the pictures. Exits with 1 if anything is missing, double or different.
"""
import io
import json
import math
import pathlib
import sys

from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader


def main():
    fold = pathlib.Path(sys.argv[1])
    files = sorted(fold.glob("events.out.tfevents.*"))
    problems = []
    if len(files) != 1:
        problems.append(f"{len(files)} event files: {files}")

    # As TensorBoard shows the folder.
    shown = EventAccumulator(str(fold), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    shown.Reload()
    scalars = {tag: [(e.step, e.value) for e in shown.Scalars(tag)] for tag in shown.Tags()["scalars"]}
    for tag, values in sorted(scalars.items()):
        steps = [s for s, _ in values]
        if len(set(steps)) != len(steps) or steps != sorted(steps):
            problems.append(f"{tag}: steps {steps}")
        print(f"{tag:45s} {len(values):4d} steps, last {values[-1][1]:.6g}")
    for tag in shown.Tags()["images"]:
        pictures = shown.Images(tag)
        for p in pictures:
            size = Image.open(io.BytesIO(p.encoded_image_string)).size
            if size != (p.width, p.height):
                problems.append(f"{tag}: step {p.step} is {size}, said to be {p.width} x {p.height}")
        print(f"{tag:45s} {len(pictures):4d} pictures at steps {[p.step for p in pictures]}")
    if not shown.Tags()["images"]:
        problems.append("no pictures")

    # As they stand in the file, before TensorBoard sorts out what it takes for a restart.
    seen = {}
    for path in files:
        for event in LegacyEventFileLoader(str(path)).Load():
            for value in event.summary.value:
                seen[(value.tag, event.step)] = seen.get((value.tag, event.step), 0) + 1
    problems += [f"{tag}: step {step} is {n} times in the file" for (tag, step), n in seen.items() if n > 1]

    if len(sys.argv) > 2:
        said = json.loads(pathlib.Path(sys.argv[2]).read_text())
        for tag, key in [("loss/training", "train_losses"), ("loss/validation", "val_losses"),
                         ("validation/auc", "val_aucs"), ("validation/balanced_accuracy", "val_balanced_accuracies")]:
            want = {i + 1: v for i, v in enumerate(said[key]) if v is not None}
            got = dict(scalars.get(tag, []))
            if got.keys() != want.keys() or any(not math.isclose(got[s], want[s], rel_tol=1e-6, abs_tol=1e-7) for s in want):
                problems.append(f"{tag}: {got}, but the training says {want}")

    for p in problems:
        print("problem:", p)
    print("as it should be" if not problems else f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
