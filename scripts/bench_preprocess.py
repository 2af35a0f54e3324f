#!/usr/bin/env python3
"""Times `uc plan-and-preprocess` beside the steps of the Python original, in turn, one thread each.

    make build
    python3 scripts/bench_preprocess.py --dir bench-data case mri ct anisotropic --pairs 5
    python3 scripts/bench_preprocess.py --dir bench-data scaling --pairs 5
    python3 scripts/bench_preprocess.py --dir bench-data read --pairs 5
    python3 scripts/bench_preprocess.py --dir bench-data memory --budgets 4G 8G

Needs numpy, scipy, scikit-image 0.19.3 and nibabel. Data are made once under --dir and kept.

case: one scan from file to saved files. The original's steps call the same functions of scipy and scikit-image in the
same order: read; fill holes, crop; save the cropped case; load it; resize with cubic splines, the mask label by label;
normalise; pad; save. Their CPU time starts after Python's imports. uc starts with an empty output folder and does more:
it hashes the files, measures intensities and plans. CPU seconds (user + system) are the main figure, they hold on a
machine that does other work too; wall seconds are only good on an idle one.
scaling: uc alone over a cohort of mixed sizes with one and two workers.
read: decompressing one .nii.gz, uc (to float32) against Python's gzip (bytes alone) and nibabel (to float32): one thread
in CPU seconds, and wall seconds where uc may use two.
memory: uc with 8 workers over 20 large scans, one file under twenty names, within a memory budget.
"""
import argparse
import gzip
import json
import multiprocessing
import os
import pickle
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import nibabel
import numpy as np

# size and spacing (z, y, x) in voxels and mm, modality, target spacing (None: the plan's own, by the voxel budget)
CASES = {
    "mri": ((160, 256, 256), (1.3, 1.3, 1.3), "MRI", (1.0, 1.0, 1.0)),
    "ct": ((300, 512, 512), (1.5, 0.8, 0.8), "CT", None),
    "anisotropic": ((40, 320, 320), (4.0, 0.8, 0.8), "MRI", (3.5, 0.65, 0.65)),
}
ANISOTROPY = 3


def scan(size, modality, seed):
    """An int16 scan with the entropy of real ones and a mask of nested ellipsoids, labels 1 to 3."""
    rng = np.random.default_rng(seed)
    z, y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in size)
    image, mask = np.empty(size, np.int16), np.empty(size, np.uint8)
    air, tissue, noise = (-1000, 40, 20) if modality == "CT" else (4, 300, 25)
    plane = y[:, None] ** 2 + x[None, :] ** 2
    for i in range(size[0]):
        r = plane + z[i] ** 2
        mask[i] = 0 + (r <= 1) + (r < 0.45) + (r < 0.1)
        values = np.where(r < 0.97, tissue * (1 + 0.3 * mask[i]) + 30 * np.sin(9 * r + 5 * z[i]), air)
        values += rng.standard_normal(r.shape, dtype=np.float32) * np.where(r < 0.97, noise, noise / 8)
        image[i] = values
    return image, mask


def save_nifti(path, array, spacing):
    """Writes an array (z, y, x); spacing likewise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.openers.Opener.default_compresslevel = 6
    nibabel.save(nibabel.Nifti1Image(array.T, np.diag([*spacing[::-1], 1.])), path)


def write_task(root, name, modality, cases):
    """Writes dataset.json; cases are ids whose files exist."""
    folder = root / "raw" / "nnUNet_raw_data" / name
    (folder / "dataset.json").write_text(json.dumps({
        "name": name, "modality": {"0": modality},
        "labels": {"0": "background", "1": "a", "2": "b", "3": "c"},
        "classification_labels": [{"name": "Grade", "ordinal": False, "values": {"0": "low", "1": "high"}}],
        "training": [{"image": f"./imagesTr/{c}.nii.gz", "label": f"./labelsTr/{c}.nii.gz", "Grade": i % 2}
                     for i, c in enumerate(cases)],
        "numTraining": len(cases), "test": [], "numTest": 0}))
    return folder


def make_scan(folder, case, size, spacing, modality, seed):
    target = folder / "labelsTr" / f"{case}.nii.gz"
    if not target.exists():
        image, mask = scan(size, modality, seed)
        save_nifti(folder / "imagesTr" / f"{case}_0000.nii.gz", image, spacing)
        save_nifti(target, mask, spacing)


def apart(function, *args):
    """Calls a function in a process of its own: Linux counts the caller's peak memory among a command's that it starts."""
    child = multiprocessing.Process(target=function, args=args)
    child.start()
    child.join()
    if child.exitcode:
        sys.exit(child.exitcode)


def run(command, core=None, threads=1):
    """Runs a command; returns wall seconds, CPU seconds, peak RSS in bytes and its output."""
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    start = time.perf_counter()
    child = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, env={**os.environ, "GOMAXPROCS": str(threads)})
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if child.returncode:
        sys.exit(f"{command}: exit status {child.returncode}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, out


def plans_of(args, root, task, spacing=None, size=None):
    """Lets uc plan a task, moves the plan to another spacing if one is given, and returns the plans' file."""
    run([args.uc, "plan-and-preprocess", "--data-root", root, "-t", task, "-no_pp"])
    path = next((root / "preprocessed").glob(f"*{task}*/*_plans_3D.json"))
    plans = json.loads(path.read_text())
    stage = plans["plans_per_stage"]["0"]
    if spacing:
        order = plans["transpose_forward"]
        stage["current_spacing"] = [spacing[d] for d in order]
        stage["image_size"] = [round(size[0][d] * size[1][d] / spacing[d]) for d in order]
    out = root / "plans.json"
    out.write_text(json.dumps(plans))
    return out


def fresh(root):
    shutil.rmtree(root / "preprocessed", ignore_errors=True)


# ---- the original's steps

def bounds(mask):
    where = np.where(mask != 0)
    return [[int(w.min()), int(w.max()) + 1] for w in where]


def cut(array, box):
    return array[tuple(slice(a, b) for a, b in box)]


def filled(mask):
    from scipy.ndimage import binary_fill_holes
    return binary_fill_holes(mask)


def crop(data, seg):
    """Crops one modality and its mask to what is not zero, then to the region of interest."""
    nonzero = filled(data != 0)
    box = bounds(nonzero)
    data, seg, nonzero = cut(data, box).copy(), cut(seg, box).copy(), cut(nonzero, box)
    seg[(seg == 0) & ~nonzero] = -1
    roi = seg.copy()
    roi[roi == -1] = 0
    roi = filled(roi != 0)
    box = bounds(roi)
    for side, n in zip(box, roi.shape):
        margin = int((side[1] - side[0]) * 0.05)
        side[:] = max(side[0] - margin, 0), min(side[1] + margin, n)
    data, seg, roi = cut(data, box).copy(), cut(seg, box).copy(), cut(roi, box)
    seg[(seg == 0) & ~roi] = -1
    return data, seg


def resize_data(array, shape):
    from skimage.transform import resize
    return resize(array, shape, 3, mode="edge", anti_aliasing=False)


def resize_labels(array, shape):
    from skimage.transform import resize
    out = np.zeros(shape, array.dtype)
    for label in np.flatnonzero(np.bincount(array.astype(np.int64).ravel() + 1)) - 1:
        out[resize((array == label).astype(float), shape, 1, mode="edge", clip=True, anti_aliasing=False) >= 0.5] = label
    return out


def resample(array, shape, resize_one, axis):
    from scipy.ndimage import map_coordinates
    dtype, array = array.dtype, array.astype(float)
    if array.shape == tuple(shape):
        return array.astype(dtype)
    if axis is None:
        return resize_one(array, shape).astype(dtype)
    plane = [n for d, n in enumerate(shape) if d != axis]
    slices = [resize_one(s, plane).astype(dtype) for s in np.moveaxis(array, axis, 0)]
    array = np.stack(slices, axis)
    if array.shape[axis] != shape[axis]:
        grid = np.mgrid[tuple(slice(n) for n in shape)]
        at = np.array([(g + 0.5) * (old / new) - 0.5 for g, old, new in zip(grid, array.shape, shape)])
        array = map_coordinates(array, at, order=0, mode="nearest").astype(dtype)
    return array


def separate_axis(spacing, target):
    for s in (np.array(spacing), np.array(target)):
        if s.max() / s.min() > ANISOTROPY:
            axes = np.flatnonzero(s == s.max())
            return int(axes[0]) if len(axes) == 1 else None
    return None


def original(image, mask, plans, out):
    """Takes one case from its files to the saved arrays and prints the CPU seconds of each step as JSON."""
    import scipy.ndimage, skimage.transform  # noqa: F401, imports are not timed
    steps, last = {}, time.process_time()

    def step(name):
        nonlocal last
        now = time.process_time()
        steps[name], last = now - last, now

    wall = time.perf_counter()
    out.mkdir(parents=True)
    plans = json.loads(plans.read_text())
    stage, order = plans["plans_per_stage"]["0"], plans["transpose_forward"]
    files = [nibabel.load(f) for f in (image, mask)]
    spacing = np.array(files[0].header.get_zooms()[::-1], float)
    data, seg = (np.asanyarray(f.dataobj).T.astype(np.float32) for f in files)
    step("read")
    data, seg = crop(data, seg)
    step("crop")
    np.savez_compressed(out / "cropped.npz", data=np.stack([data, seg]))
    (out / "cropped.pkl").write_bytes(pickle.dumps({"spacing": spacing}))
    step("save cropped")
    data, seg = np.load(out / "cropped.npz")["data"]
    step("load cropped")
    data, seg, spacing = data.transpose(order), seg.transpose(order), spacing[order]
    data[np.isnan(data)] = 0
    target = np.array(stage["current_spacing"])
    shape = np.round(spacing / target * data.shape).astype(int)
    axis = separate_axis(spacing, target)
    data = resample(data, shape, resize_data, axis)
    step("resample image")
    seg = resample(seg, shape, resize_labels, axis)
    seg[seg < -1] = 0
    step("resample mask")
    if plans["normalization_schemes"]["0"] == "CT":
        known = plans["dataset_properties"]["intensityproperties"]["0"]
        data = np.clip(data, known["percentile_00_5"], known["percentile_99_5"])
        data = (data - known["mean"]) / known["sd"]
    elif plans["use_mask_for_norm"]["0"]:
        inside = seg >= 0
        data[inside] = (data[inside] - data[inside].mean()) / (data[inside].std() + 1e-8)
        data[~inside] = 0
    else:
        data = (data - data.mean()) / (data.std() + 1e-8)
    both = np.stack([data, seg])
    padded = np.zeros([2, *stage["image_size"]], both.dtype)
    at = [(p // 2) - (n // 2) for p, n in zip(padded.shape[1:], both.shape[1:])]
    padded[(slice(None), *(slice(a, a + n) for a, n in zip(at, both.shape[1:])))] = both
    padded = padded.astype(np.float32)
    step("normalise, pad")
    np.savez_compressed(out / "case.npz", data=padded)
    (out / "case.pkl").write_bytes(pickle.dumps({"size": shape}))
    step("save")
    print(json.dumps({"steps": steps, "wall": time.perf_counter() - wall}))


# ---- measurements

def report(title, rows, columns):
    print(f"\n{title}; load of the machine {os.getloadavg()[0]:.1f}")
    print("| " + " | ".join(["", *columns]) + " |\n" + "|---" * (len(columns) + 1) + "|")
    for i, row in enumerate(rows):
        print(f"| {i + 1} | " + " | ".join(f"{v:.2f}" for v in row) + " |")
    print("| median | " + " | ".join(f"{statistics.median(c):.2f}" for c in zip(*rows)) + " |", flush=True)


def compare(args):
    for name in args.case:
        size, spacing, modality, target = CASES[name]
        root = args.dir / name
        folder = root / "raw" / "nnUNet_raw_data" / "Task001_Bench"
        apart(make_scan, folder, "case", size, spacing, modality, 1)
        write_task(root, "Task001_Bench", modality, ["case"])
        fresh(root)
        plans = plans_of(args, root, "1", target, (size, spacing))
        rows, steps = [], []
        for _ in range(args.pairs):
            out = root / "original"
            shutil.rmtree(out, ignore_errors=True)
            _, _, peak, text = run([sys.executable, __file__, "--dir", root, "original",
                                    folder / "imagesTr/case_0000.nii.gz", folder / "labelsTr/case.nii.gz", plans, out], args.core)
            theirs = json.loads(text)
            steps.append(theirs["steps"])
            cpu = sum(theirs["steps"].values())
            fresh(root)
            wall, ours, ours_peak, _ = run([args.uc, "plan-and-preprocess", "--data-root", root, "-t", "1", "-tf", "1",
                                            "-pl3d", "ExperimentPlanner3D_v21_Pretrained", "-overwrite_plans", plans,
                                            "-overwrite_plans_identifier", "bench"], args.core)
            rows.append([cpu, ours, cpu / ours, theirs["wall"], wall, theirs["wall"] / wall, peak / 2**20, ours_peak / 2**20, ours_peak / peak])
            print(name, *(f"{v:.2f}" for v in rows[-1]), file=sys.stderr, flush=True)
        apart(check, root, name)
        report(f"{name}, {'x'.join(map(str, size[::-1]))}", rows,
               ["original CPU s", "uc CPU s", "ratio", "original wall s", "uc wall s", "ratio", "original MiB", "uc MiB", "uc/original"])
        print("original, CPU s per step: " + ", ".join(f"{k} {statistics.median(s[k] for s in steps):.2f}" for k in steps[0]))


def check(root, name):
    """Compares what both wrote."""
    ours = np.load(next((root / "preprocessed").glob("*/*_stage0/case.npz")))["data"]
    theirs = np.load(root / "original" / "case.npz")["data"]
    same = (ours[1] == theirs[1]).mean()
    print(f"{name}: {ours.shape}, largest difference of the image {np.abs(ours[0] - theirs[0]).max():.2g}, mask equal in {same:.4%}", flush=True)
    shutil.rmtree(root / "original")


def scaling(args):
    root = args.dir / "scaling"
    folder = root / "raw" / "nnUNet_raw_data" / "Task001_Bench"
    sizes = [(96 + 8 * (5 * i % 7), 128 + 8 * (3 * i % 9), 128 + 8 * (7 * i % 11)) for i in range(12)]
    for i, size in enumerate(sizes):
        apart(make_scan, folder, f"case_{i:02d}", size, (1 + 0.05 * (i % 5),) * 3, "MRI", i)
    write_task(root, "Task001_Bench", "MRI", [f"case_{i:02d}" for i in range(len(sizes))])
    rows = []
    for _ in range(args.pairs):
        row = []
        for threads in (1, 2):
            fresh(root)
            wall, cpu, _, _ = run([args.uc, "plan-and-preprocess", "--data-root", root, "-t", "1", "-tf", threads], None, threads)
            row += [wall, cpu]
        rows.append([*row, row[0] / row[2]])
    report("12 scans of mixed sizes", rows, ["-tf 1 wall s", "CPU s", "-tf 2 wall s", "CPU s", "wall ratio"])


def read(args):
    root = args.dir / "mri"
    size, spacing, modality, _ = CASES["mri"]
    folder = root / "raw" / "nnUNet_raw_data" / "Task001_Bench"
    apart(make_scan, folder, "case", size, spacing, modality, 1)
    path = folder / "imagesTr/case_0000.nii.gz"
    megabytes = 2 * np.prod(size) / 1e6
    program = args.dir / "nifti.test"
    subprocess.run(["go", "test", "-c", "-o", program, "./pkg/nifti"], cwd=Path(__file__).resolve().parent.parent, check=True)
    os.environ["UC_BENCH_FILE"] = str(path)
    rows = []
    for _ in range(args.pairs):
        unzip = clocked(unpack, path)
        load = clocked(lambda: np.asanyarray(nibabel.load(path).dataobj).astype(np.float32))
        one, two = (read_once(program, threads) for threads in (1, 2))
        rows.append([*(megabytes / t for t in (unzip[1], load[1], one[1], unzip[0], load[0], two[0])),
                     unzip[1] / one[1], load[1] / one[1], unzip[0] / two[0], load[0] / two[0]])
    report("reading 256x256x160 int16 .nii.gz, MB of voxels per second", rows,
           ["gzip, CPU", "nibabel, CPU", "uc, CPU, 1 thread", "gzip, wall", "nibabel, wall", "uc, wall, 2 threads",
            "uc/gzip, CPU", "uc/nibabel, CPU", "uc/gzip, wall", "uc/nibabel, wall"])


def clocked(function, *args):
    """Calls a function; returns wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    function(*args)
    return time.perf_counter() - wall, time.process_time() - cpu


def unpack(path):
    with gzip.open(path) as f:
        while f.read(1 << 20):
            pass


def read_once(program, threads):
    """Wall and CPU seconds of one reading, the program's start left out."""
    once, often = (run([program, "-test.run", "^$", "-test.bench", "^BenchmarkReadFile$", "-test.benchtime", f"{n}x"], None, threads)
                   for n in (1, 21))
    return [(b - a) / 20 for a, b in zip(once[:2], often[:2])]


def memory(args):
    root = args.dir / "memory"
    folder = root / "raw" / "nnUNet_raw_data" / "Task001_Bench"
    apart(make_scan, folder, "case_00", (600, 512, 512), (1.0, 0.8, 0.8), "CT", 0)
    for i in range(1, 20):
        link(folder, i)
    write_task(root, "Task001_Bench", "CT", [f"case_{i:02d}" for i in range(20)])
    print("| --memory | peak RSS, MiB | wall s | CPU s |\n|---|---|---|---|")
    for budget in args.budgets:
        fresh(root)
        wall, cpu, peak, _ = run([args.uc, "plan-and-preprocess", "--data-root", root, "-t", "1", "-tf", "8", "--memory", budget], None, os.cpu_count())
        print(f"| {budget} | {peak / 2**20:.0f} | {wall:.0f} | {cpu:.0f} |", flush=True)
    fresh(root)


def link(folder, i):
    """Gives the first case another name."""
    for source, target in (("imagesTr/case_00_0000", f"imagesTr/case_{i:02d}_0000"), ("labelsTr/case_00", f"labelsTr/case_{i:02d}")):
        target = folder / f"{target}.nii.gz"
        if not target.exists():
            os.link(folder / f"{source}.nii.gz", target)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, required=True, help="folder for data, a few GB")
    parser.add_argument("--uc", type=Path, default=Path(__file__).resolve().parent.parent / "bin" / "uc")
    parser.add_argument("--core", type=int, default=0, help="processor that one-thread runs are bound to")
    what = parser.add_subparsers(dest="what", required=True)
    for name, function in {"case": compare, "scaling": scaling, "read": read}.items():
        p = what.add_parser(name)
        p.set_defaults(run=function)
        p.add_argument("--pairs", type=int, default=5)
        if name == "case":
            p.add_argument("case", nargs="+", choices=CASES)
    p = what.add_parser("memory")
    p.set_defaults(run=memory)
    p.add_argument("--budgets", nargs="+", default=["4G", "8G"])
    p = what.add_parser("original", help="the original's steps once (used by case)")
    p.set_defaults(run=lambda a: original(a.image, a.mask, a.plans, a.out))
    for name in ("image", "mask", "plans", "out"):
        p.add_argument(name, type=Path)
    args = parser.parse_args()
    args.dir = args.dir.resolve()
    args.run(args)


if __name__ == "__main__":
    main()
