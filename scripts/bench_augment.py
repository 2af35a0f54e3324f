#!/usr/bin/env python3
"""Times uc's augmentation and batchgenerators', in turn, one thread each.

    pip install batchgenerators==0.25 numpy scipy scikit-image==0.19.3
    python3 scripts/bench_augment.py --size 96 --runs 5 [--only rotation,gamma] [--chain 200] [--json]

Each transform works on a sample of 2 x size^3 (96 or 160) with a mask, all channels, fixed parameters: here and in
internal/augment/bench_test.go, which is run. --chain N also times N samples of nnU-Net's training chain with its real
probabilities (the mean needs many samples: with N=200 it is good to about 10 %).
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
from scipy.ndimage import gaussian_filter
from batchgenerators.transforms.color_transforms import (
    BrightnessMultiplicativeTransform, ContrastAugmentationTransform, GammaTransform)
from batchgenerators.transforms.noise_transforms import GaussianBlurTransform, GaussianNoiseTransform
from batchgenerators.transforms.resample_transforms import SimulateLowResolutionTransform
from batchgenerators.transforms.spatial_transforms import MirrorTransform, SpatialTransform


def sample(n, channels=2):
    """A smooth textured sample (1, channels, n, n, n) with a mask of labels -1, 0, 1, 2."""
    rng = np.random.RandomState(1)
    data = np.stack([gaussian_filter(rng.standard_normal((n, n, n)).astype(np.float32), 1) for _ in range(channels)])[None]
    axis = 2 * np.arange(n) / n - 1
    r = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2
    seg = np.select([r < 0.1, r < 0.4, r > 1.2], [2, 1, -1], 0).astype(np.float32)[None, None]
    return data, seg


def spatial(n, elastic=0., rotation=0., scale=0., alpha=(450., 450.), sigma=(11., 11.), angles=None, factor=(1.1, 1.1)):
    ax, ay, az = angles or ((0.15, 0.15), (-0.1, -0.1), (0.2, 0.2))
    return SpatialTransform(
        (n, n, n), patch_center_dist_from_border=None, do_elastic_deform=True, alpha=alpha, sigma=sigma,
        do_rotation=True, angle_x=ax, angle_y=ay, angle_z=az, p_rot_per_axis=1, do_scale=True, scale=factor,
        border_mode_data="constant", border_cval_data=0, order_data=3, border_mode_seg="constant", border_cval_seg=-1,
        order_seg=1, random_crop=False, p_el_per_sample=elastic, p_scale_per_sample=scale, p_rot_per_sample=rotation,
        independent_scale_for_each_axis=False)


class MirrorAll:
    """Mirrors along all axes, as MirrorTransform does where all three coins fall so."""

    def __call__(self, data, seg):
        for a in (data[0], seg[0]):
            a[:, :] = a[:, ::-1]
            a[:, :, :] = a[:, :, ::-1]
            a[:, :, :, :] = a[:, :, :, ::-1]
        return {"data": data, "seg": seg}


def transforms(n):
    return {
        "rotation": spatial(n, rotation=1),
        "scale": spatial(n, scale=1),
        "elastic": spatial(n, elastic=1),
        "elastic_rotation_scale": spatial(n, elastic=1, rotation=1, scale=1),
        "noise": GaussianNoiseTransform((0.05, 0.05)),
        "blur": GaussianBlurTransform((0.75, 0.75), different_sigma_per_channel=True),
        "brightness": BrightnessMultiplicativeTransform((1.1, 1.1)),
        "contrast": ContrastAugmentationTransform((1.1, 1.1)),
        "lowres": SimulateLowResolutionTransform((0.75, 0.75), per_channel=True, order_downsample=0, order_upsample=3),
        "gamma_inverted": GammaTransform((1.2, 1.2), True, True, retain_stats=True),
        "gamma": GammaTransform((1.2, 1.2), False, True, retain_stats=True),
        "mirror": MirrorAll(),
    }


def chain(n):
    """nnU-Net's default 3D chain without its last steps on the mask."""
    a = 15. / 360 * 2 * np.pi
    return [
        spatial(n, 0.2, 0.2, 0.2, (0., 900.), (9., 13.), ((-a, a),) * 3, (0.85, 1.25)),
        GaussianNoiseTransform(p_per_sample=0.1),
        GaussianBlurTransform((0.5, 1.), different_sigma_per_channel=True, p_per_sample=0.2, p_per_channel=0.5),
        BrightnessMultiplicativeTransform((0.75, 1.25), p_per_sample=0.15),
        ContrastAugmentationTransform(p_per_sample=0.15),
        SimulateLowResolutionTransform((0.5, 1), per_channel=True, p_per_channel=0.5, order_downsample=0,
                                       order_upsample=3, p_per_sample=0.25),
        GammaTransform((0.7, 1.5), True, True, retain_stats=True, p_per_sample=0.1),
        GammaTransform((0.7, 1.5), False, True, retain_stats=True, p_per_sample=0.3),
        MirrorTransform((0, 1, 2)),
    ]


def timed(steps, data, seg):
    d = {"data": data.copy(), "seg": seg.copy()}
    start = time.perf_counter()
    for step in steps:
        d = step(**d)
    return time.perf_counter() - start


def build(folder):
    """Builds the program of the Go benchmarks."""
    program = Path(folder) / "augment.test"
    subprocess.run(["go", "test", "-c", "-o", program, "./internal/augment"], cwd=Path(__file__).resolve().parent.parent, check=True)
    return program


def ours(program, benchmark, duration):
    """Seconds per sample of a Go benchmark on one thread."""
    parts = "/".join(f"^{part}$" for part in benchmark.split("/"))
    out = subprocess.run([program, "-test.run", "^$", "-test.bench", parts, "-test.benchtime", duration, "-test.cpu", "1"],
                         stdout=subprocess.PIPE, check=True, text=True).stdout
    return float(re.search(r"([0-9.]+) ns/op", out)[1]) / 1e9


def row(name, pairs):
    """Prints a row of the table; returns its medians."""
    us, them = (statistics.median(p) for p in zip(*pairs))
    ratios = [b / a for a, b in pairs]
    spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})"
    print(f"| {name} | {us * 1e3:.2f} | {them * 1e3:.1f} | {spread} |", flush=True)
    return {"uc": us, "batchgenerators": them}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=96, choices=(96, 160))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="", help="comma-separated transforms")
    parser.add_argument("--chain", type=int, default=0, help="samples of the whole chain to average")
    parser.add_argument("--json", action="store_true", help="end with a line of all medians in seconds")
    args = parser.parse_args()
    data, seg = sample(args.size)
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        program = build(folder)
        print(f"| 2 x {args.size}^3 | uc, ms | batchgenerators, ms | faster by |\n|---|---|---|---|")
        for name, step in transforms(args.size).items():
            if args.only and name not in args.only.split(","):
                continue
            pairs = [(ours(program, f"BenchmarkTransform/{name}/2x{args.size}", "200ms"), timed([step], data, seg)) for _ in range(args.runs)]
            result[name] = row(name, pairs)
        if args.chain:
            steps = chain(args.size)
            theirs = statistics.mean(timed(steps, data, seg) for _ in range(args.chain))
            result["chain"] = row("chain, mean", [(ours(program, f"BenchmarkChain/2x{args.size}", f"{args.chain}x"), theirs)])
    if args.json:
        print(json.dumps({"size": args.size, "seconds": result}))


if __name__ == "__main__":
    main()
