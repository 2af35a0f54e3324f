#!/usr/bin/env python3
"""check_explain.py: compares uc explain with an implementation of its own, in JAX.

The network, its gradients by JAX's automatic differentiation, HiResCAM, Grad-CAM++ and the way from a layer onto the
input are written here from the papers and from the table of layers, and share no code with uc. For one case and one
fold, without mirror images:

  uc preprocess-case ... -o input.npz
  uc explain ... -f 0 --disable_tta --method METHOD --layer LAYER --class all -o OUT
  check_explain.py --weights fold_0/model_final_checkpoint.safetensors --input input.npz --explained OUT...

prints, per map of hirescam and gradcam, the largest heat by both, and fails where they differ by more than 0.1 %.
Needs jax, numpy and safetensors; JAX takes minutes to compile the network.
"""
import argparse
import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file

jax.config.update("jax_enable_x64", True)

STAGES = [
    ("conv3d_1a_7x7", "conv", 7, 2), ("maxPool3d_2a_3x3", "pool", (1, 3, 3), (1, 2, 2)), ("conv3d_2b_1x1", "conv", 1, 1),
    ("conv3d_2c_3x3", "conv", 3, 1), ("maxPool3d_3a_3x3", "pool", (1, 3, 3), (1, 2, 2)), ("mixed_3b", "mixed"), ("mixed_3c", "mixed"),
    ("maxPool3d_4a_3x3", "pool", (3, 3, 3), (2, 2, 2)), ("mixed_4b", "mixed"), ("mixed_4c", "mixed"), ("mixed_4d", "mixed"),
    ("mixed_4e", "mixed"), ("mixed_4f", "mixed"), ("maxPool3d_5a_2x2", "pool", (2, 2, 2), (2, 2, 2)), ("mixed_5b", "mixed"), ("mixed_5c", "mixed"),
]


def same(kernel, stride):
    pads = []
    for k, s in zip(kernel, stride):
        total = max(k - s, 0)
        pads.append((total // 2, total - total // 2))
    return pads


def conv(w, name, x, stride=(1, 1, 1)):
    kernel = jnp.asarray(w[name + ".conv3d.weight"], jnp.float64)
    y = jax.lax.conv_general_dilated(x, kernel, stride, same(kernel.shape[2:], stride), dimension_numbers=("NCDHW", "OIDHW", "NCDHW"))
    p = {k: jnp.asarray(w[f"{name}.batch3d.{k}"], jnp.float64)[None, :, None, None, None] for k in ("weight", "bias", "running_mean", "running_var")}
    return jax.nn.relu((y - p["running_mean"]) / jnp.sqrt(p["running_var"] + 1e-5) * p["weight"] + p["bias"])


def pool(x, kernel, stride):
    pads = []
    for n, k, s, (low, high) in zip(x.shape[2:], kernel, stride, same(kernel, stride)):
        padded = n + low + high
        out = -(-max(padded - k, 0) // s) + 1
        if (out - 1) * s >= padded:
            out -= 1
        pads.append((low, high, max(0, (out - 1) * s + k - padded)))
    x = jnp.pad(x, [(0, 0), (0, 0)] + [(low, high) for low, high, _ in pads])  # zeros take part
    x = jnp.pad(x, [(0, 0), (0, 0)] + [(0, more) for _, _, more in pads], constant_values=-jnp.inf)  # ceil mode's do not
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1) + tuple(kernel), (1, 1) + tuple(stride), "VALID")


def stage(w, s, x):
    name = s[0]
    if s[1] == "conv":
        return conv(w, name, x, (s[3],) * 3)
    if s[1] == "pool":
        return pool(x, s[2], s[3])
    return jnp.concatenate([
        conv(w, name + ".branch_0", x), conv(w, name + ".branch_1.1", conv(w, name + ".branch_1.0", x)),
        conv(w, name + ".branch_2.1", conv(w, name + ".branch_2.0", x)), conv(w, name + ".branch_3.1", pool(x, (3, 3, 3), (1, 1, 1)))], axis=1)


def logits(w, x, labels):
    window = [min(n, k) for n, k in zip(x.shape[2:], (2, 2, 7))]
    mean = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 1) + tuple(window), (1,) * 5, "VALID") / np.prod(window)
    f = mean.mean(axis=(2, 3, 4))[0]
    return [jnp.asarray(w[f"linear_list.{i}.weight"], jnp.float64) @ f + jnp.asarray(w[f"linear_list.{i}.bias"], jnp.float64) for i in range(labels)]


def centres(upto):
    first, step = np.zeros(3), np.ones(3)
    for s in STAGES[:upto]:
        if s[1] == "mixed":
            continue
        kernel = (s[2],) * 3 if s[1] == "conv" else s[2]
        stride = (s[3],) * 3 if s[1] == "conv" else s[3]
        low = np.array([p[0] for p in same(kernel, stride)])
        first += ((np.array(kernel) - 1) / 2 - low) * step
        step *= np.array(stride)
    return first, step


def upsample(coarse, first, step, shape):
    for a in range(3):
        at = np.clip((np.arange(shape[a]) - first[a]) / step[a], 0, coarse.shape[a] - 1)
        coarse = np.apply_along_axis(lambda line: np.interp(at, np.arange(len(line)), line), a, coarse)
    return coarse


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--weights", required=True)
    p.add_argument("--input", required=True)
    p.add_argument("--explained", required=True, nargs="+")
    a = p.parse_args()
    w = load_file(a.weights)
    x = jnp.asarray(np.load(a.input)["input"], jnp.float64)
    labels = sum(1 for k in w if k.startswith("linear_list.") and k.endswith(".weight") and w[k].shape[0] != 400)
    worst, compared = 0.0, 0
    cut = {}
    for path in (f for d in a.explained for f in sorted(pathlib.Path(d).glob("*/*.json"))):
        record = json.loads(path.read_text())
        if record["method"] not in ("hirescam", "gradcam"):
            continue
        names = sorted({m["label"] for m in record["maps"]}, key=[m["label"] for m in record["maps"]].index)
        for m in record["maps"]:
            upto = [s[0] for s in STAGES].index(m["layer"]) + 1
            if upto not in cut:
                y = x
                for s in STAGES[:upto]:
                    y = stage(w, s, y)
                cut[upto] = y
            acts = cut[upto]

            def score(act, label=names.index(m["label"]), c=m["class"]):
                for s in STAGES[upto:]:
                    act = stage(w, s, act)
                z = logits(w, act, labels)[label]
                return z[c] - (z.sum() - z[c]) / (len(z) - 1)
            A, g = np.asarray(acts)[0], np.asarray(jax.grad(score)(acts))[0]
            if record["method"] == "gradcam":
                alpha = np.where(g != 0, g**2 / (2 * g**2 + A.sum(axis=(1, 2, 3), keepdims=True) * g**3 + (g == 0)), 0)
                heat = np.maximum((((alpha * np.maximum(g, 0)).sum(axis=(1, 2, 3), keepdims=True)) * A).sum(axis=0), 0)
            else:
                heat = (A * g).sum(axis=0)
            fine = upsample(heat, *centres(upto), x.shape[2:])
            image = np.asarray(x)[0, :-1].any(axis=0)  # without the padding
            box = tuple(slice(v.min(), v.max() + 1) for v in np.nonzero(image))
            want = fine[box].max()
            off = abs(m["largest_heat"] - want) / abs(want)
            worst, compared = max(worst, off), compared + 1
            print(f"{record['method']:9} {m['layer']:14} {m['label']} {m['class']}: uc {m['largest_heat']:.6g}, here {want:.6g}, apart {off:.1e}")
    if not compared or worst > 1e-3:
        sys.exit(f"{compared} maps compared, at most {worst:.1e} apart: more than 1e-3")


if __name__ == "__main__":
    main()
