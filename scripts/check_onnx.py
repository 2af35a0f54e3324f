"""Checks the ONNX files of `uc export --format onnx` in ONNX's checker, ONNX Runtime and OpenVINO against `uc predict` (fp32, no
mirroring): made-up inputs of several sizes, odd ones among them, and cases that `uc preprocess-case` prepared.

    python scripts/check_onnx.py --uc bin/uc DIR

makes a cohort of phantoms in DIR, plans it, trains two folds for a moment, gives them random weights that spread the
probabilities out, and exports each fold and both as an ensemble. Needs NumPy, onnx, onnxruntime, openvino and safetensors.
Exits with 1 if anything differs by more than 1e-4.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
from safetensors import safe_open
from safetensors.numpy import save_file

LIMIT = 1e-4
TASK = "900"


def randomise(path, seed):
    """Kaiming's weights and uneven batch norms in place of those of a network that has hardly been trained."""
    rng = np.random.default_rng(seed)
    with safe_open(path, "numpy") as f:
        metadata, tensors = f.metadata(), {k: f.get_tensor(k) for k in f.keys()}
    for name, t in tensors.items():
        if name.startswith("optimizer.") or t.dtype != np.float32:
            continue
        if name.endswith("running_var"):
            t = 1 + 0.5 * rng.random(t.shape)
        elif name.endswith("running_mean") or name.endswith("bias"):
            t = 0.1 * rng.standard_normal(t.shape)
        elif "batch3d" in name:
            t = 1 + 0.1 * rng.standard_normal(t.shape)
        else:
            t = rng.standard_normal(t.shape) * np.sqrt((2 if t.ndim == 5 else 4) / np.prod(t.shape[1:]))
        tensors[name] = t.astype(np.float32)
    save_file(tensors, path, metadata)


class Runtimes:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        self.ort = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        core = openvino.Core()
        self.ov = core.compile_model(core.read_model(str(path)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        self.input = self.ort.get_inputs()[0].name
        self.labels = [o.name for o in self.ort.get_outputs()]

    def __call__(self, x):
        yield "onnxruntime", self.ort.run(self.labels, {self.input: x})
        got = self.ov({self.input: x})
        yield "openvino", [got[name] for name in self.labels]


def worst(results, want):
    return max(float(np.abs(r - w).max()) for r, w in zip(results, want, strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--uc", default="bin/uc")
    args = parser.parse_args()
    root = args.dir.resolve()

    def uc(*words):
        return subprocess.run([args.uc, *map(str, words)], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout

    folds = [0, 1]
    if not (root / "trained_models").exists():
        uc("demo", root)
        uc("plan-and-preprocess", "--data-root", root, "-t", TASK)
        for fold in folds:
            uc("train", "--data-root", root, "3d_fullres", "ClassifierTrainer", TASK, fold, "--epochs", 1, "--iterations", 1, "--val-iterations", 1, "--fp32")
        for i, path in enumerate(sorted(root.glob("trained_models/**/fold_*/model_final_checkpoint.safetensors"))):
            randomise(path, i)
    out = root / "onnx"
    files = json.loads(uc("export", "--data-root", root, "-t", TASK, "--format", "onnx", "-f", *folds, "-o", out, "--json"))["files"]
    files += json.loads(uc("export", "--data-root", root, "-t", TASK, "--format", "onnx", "-f", *folds, "--ensemble", "-o", out, "--json"))["files"]

    raw = next(root.glob("raw/nnUNet_raw_data/Task*"))
    images = sorted(raw.glob("imagesTs/*_0000.nii.gz"))[:2] or sorted(raw.glob("imagesTr/*_0000.nii.gz"))[:2]
    cases = []
    for image in images:
        case = image.name.removesuffix("_0000.nii.gz")
        mask = next(raw.glob(f"labels*/{case}.nii.gz"))
        prepared = root / f"{case}.npz"
        uc("preprocess-case", "--data-root", root, "-t", TASK, "-i", image, "-s", mask, "-o", prepared)
        cases.append((case, image, mask, np.load(prepared)["input"]))

    failed = 0
    for path in map(Path, files):
        onnx.checker.check_model(str(path), full_check=True)
        model = onnx.load(path, load_external_data=False)
        metadata = {p.key: p.value for p in model.metadata_props}
        labels = json.loads(metadata["uc.labels"])
        names = json.loads(metadata["uc.folds"])
        run = Runtimes(path)
        assert run.labels == [label["name"] for label in labels], run.labels
        print(f"{path.name}: checker passed, opset {model.opset_import[0].version}, folds {' '.join(names)}, {path.stat().st_size / 1e6:.1f} MB, outputs {run.labels}")
        vectors = np.load(path.with_suffix(".selftest.npz"))
        tests = []
        for i in range(sum(k.startswith("input_") for k in vectors.files)):
            tests.append(("x".join(map(str, vectors[f"input_{i}"].shape)), vectors[f"input_{i}"], [vectors[f"probabilities_{i}_{k}"] for k in range(len(labels))]))
        for case, image, mask, x in cases:
            predictions = root / f"predictions_{path.stem}_{case}"
            uc("predict", "--data-root", root, "-t", TASK, "-f", *names, "-i", image, "-s", mask, "-o", predictions, "--disable_tta",
               "--disable_mixed_precision", "--overwrite_existing", "--device", "cpu")
            result = np.load(predictions / f"{case}.npz")
            tests.append((f"{case} {'x'.join(map(str, x.shape))}", x, [result[f"probabilities_{k}"][None] for k in range(len(labels))]))
        for name, x, want in tests:
            spread = " ".join(f"{p:.3f}" for p in want[0][0])
            for runtime, got in run(x):
                difference = worst(got, want)
                failed += difference > LIMIT
                print(f"  {name:38s} {runtime:12s} {difference:.1e}   {spread}")
    print("FAILED" if failed else "passed", f"(limit {LIMIT:g})")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
