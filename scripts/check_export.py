#!/usr/bin/env python3
"""Check what `uc export --format pytorch` and `--format reference` write, with PyTorch and the code of the Python reference.

    python3 scripts/check_export.py --uc bin/uc --model MODEL --package CHECKOUT [--work DIR] [--images IMAGE [IMAGE ...] [--mask MASK]]

MODEL is a model folder, of uc or of the reference. CHECKOUT is one of DIAGNijmegen/auc23-baseline; nnunet and what it needs must be
installed. For every fold the script

- loads the state_dict with weights_only=True and with strict=True into the I3D of the reference, and runs it;
- compares it with the checkpoint of the exported folder, and with the original if MODEL is a folder of the reference;
- loads the pickles of the exported folder with Python's own pickle, and compares the plans with the original's.

With --images (of one case, in the order of the modalities) the code of the reference predicts the case from the exported folder, and
the logits of every fold are compared with those of `uc predict` in fp32 without mirroring.

One line per check; the exit code is 1 if one fails. Needs NumPy and PyTorch 1.13 or later.
"""
import argparse
import contextlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import torch

TOLERANCE = 1e-4  # of logits in fp32
CHECKPOINT = "model_final_checkpoint"


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return done.stdout


def load_state(path):
    return torch.load(path, map_location="cpu", weights_only=True)


def load_checkpoint(folder, fold):
    """with NumPy's scalars in it, as the reference writes them, so weights_only does not do for the original"""
    path = os.path.join(folder, fold, CHECKPOINT + ".model")
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except TypeError:  # PyTorch before 1.13
        return torch.load(path, map_location="cpu")


def network_class(package):
    sys.path.insert(0, package)
    with contextlib.redirect_stdout(io.StringIO()):
        from universalclassifier.network_architecture.i3d.i3dpt import I3D
    return I3D


def equal(a, b):
    return list(a) == list(b) and all(torch.equal(a[n], b[n]) for n in a)


def same(a, b):
    """plans, but for paths and what the reference adds"""
    if isinstance(a, dict):
        return all(k in b and same(a[k], b[k]) for k in a if k not in ("list_of_npz_files", "preprocessed_data_folder"))
    if isinstance(a, (list, tuple, np.ndarray)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, (float, np.floating)):
        return bool(np.isclose(a, b, rtol=1e-6, atol=0, equal_nan=True))
    return a == b


def package_logits(folder, fold, images, mask):
    """logits of the reference's own code, as its predict() computes them"""
    for name in ("RESULTS_FOLDER", "nnUNet_raw_data_base", "nnUNet_preprocessed"):
        os.environ.setdefault(name, os.path.join(folder, "unused"))
    with contextlib.redirect_stdout(io.StringIO()):
        from universalclassifier.training.model_restore import load_model_and_checkpoint_files
        folds = ["all"] if fold == "all" else [int(fold[len("fold_"):])]
        trainer, params = load_model_and_checkpoint_files(folder, folds, mixed_precision=False, checkpoint_name=CHECKPOINT)
        data, seg, _ = trainer.preprocess_patient(images, mask)
        data = trainer.combine_data_and_seg(data, seg)
        trainer.load_checkpoint_ram(params[0], False)
        return [o[0] for o in trainer.predict_preprocessed_data_return_pred_and_logits(data[None], mixed_precision=False)[1]]


def uc_logits(a, fold):
    images = os.path.join(a.work, "images")
    masks = os.path.join(a.work, "masks")
    os.makedirs(images, exist_ok=True)
    os.makedirs(masks, exist_ok=True)
    for i, path in enumerate(a.images):
        shutil.copy(path, os.path.join(images, f"case_{i:04d}.nii.gz"))
    command = [a.uc, "predict", "--model", a.model, "-i", images, "-o", os.path.join(a.work, "predictions_" + fold), "-f", fold.replace("fold_", ""),
               "--disable_tta", "--disable_mixed_precision", "--device", "cpu", "--json"]
    if a.mask:
        shutil.copy(a.mask, os.path.join(masks, "case.nii.gz"))
        command += ["-s", masks]
    result = json.loads(run(*command))["results"]["cases"][0]
    return [np.array(label["logits"]) for label in result["labels"]]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--uc", default="bin/uc")
    p.add_argument("--model", required=True)
    p.add_argument("--work", default="check_export")
    p.add_argument("--package", required=True)
    p.add_argument("--images", nargs="+", default=[])
    p.add_argument("--mask")
    a = p.parse_args()
    failed = False

    def check(name, ok, text=""):
        nonlocal failed
        failed |= not ok
        print(f"{'ok  ' if ok else 'FAIL'} {name} {text}".rstrip())

    os.makedirs(a.work)
    files = run(a.uc, "export", "--model", a.model, "--format", "pytorch", "-o", os.path.join(a.work, "pytorch")).split()
    folder = os.path.abspath(run(a.uc, "export", "--model", a.model, "--format", "reference", "-o", os.path.join(a.work, "reference")).strip())
    network = network_class(a.package)
    rng = np.random.default_rng(1)
    for path in files:
        fold = os.path.splitext(os.path.basename(path))[0]
        state = load_state(path)
        check(f"{fold}: weights_only=True", True, f"({len(state)} tensors)")
        heads = sorted((n for n in state if n.startswith("linear_list.") and n.endswith(".weight")), key=lambda n: int(n.split(".")[1]))
        net = network(state["conv3d_1a_7x7.conv3d.weight"].shape[1], [state[n].shape[0] for n in heads])
        net.load_state_dict(state, strict=True)
        check(f"{fold}: strict=True, same order", list(net.state_dict()) == list(state))
        net.eval()
        with torch.no_grad():
            x = torch.from_numpy(rng.standard_normal((1, state["conv3d_1a_7x7.conv3d.weight"].shape[1], 33, 40, 24)).astype(np.float32))
            check(f"{fold}: runs", all(bool(torch.isfinite(o).all()) for o in net(x)))
        check(f"{fold}: pytorch and reference agree", equal(state, load_checkpoint(folder, fold)["state_dict"]))
        if os.path.exists(os.path.join(a.model, fold, CHECKPOINT + ".model")):
            check(f"{fold}: equal to the original", equal(load_checkpoint(a.model, fold)["state_dict"], state))
        with open(os.path.join(folder, fold, CHECKPOINT + ".model.pkl"), "rb") as f:
            info = pickle.load(f)
        check(f"{fold}: model.pkl", info["name"] == "ClassifierTrainer" and len(info["init"]) == 7)
        if a.images:
            theirs, ours = package_logits(folder, fold, a.images, a.mask), uc_logits(a, fold)
            worst = max(float(np.abs(t - o).max()) for t, o in zip(theirs, ours))
            check(f"{fold}: logits of the package equal those of uc", len(theirs) == len(ours) and worst <= TOLERANCE, f"(largest difference {worst:.2g})")
    if os.path.exists(os.path.join(a.model, "plans.pkl")):
        with open(os.path.join(folder, "plans.pkl"), "rb") as f, open(os.path.join(a.model, "plans.pkl"), "rb") as g:
            check("plans: equal to the original", same(pickle.load(g), pickle.load(f)))
    sys.exit(failed)


if __name__ == "__main__":
    main()
