#!/usr/bin/env python3
"""Writes internal/augment/testdata: outputs of batchgenerators' transforms with pinned parameters on inputs that a formula makes.

    pip install batchgenerators==0.25 numpy scipy==1.10.1 scikit-image==0.19.3
    python3 scripts/gen_augment_vectors.py internal/augment/testdata

The volume is long on one axis, so that the elastic filter's kernel (73 taps and more) ends within it.
"""
import json
import os
import sys

import numpy as np
from batchgenerators.augmentations import color_augmentations, utils
from scipy.ndimage import gaussian_filter
from skimage.transform import resize

SHAPE = (6, 10, 110)


def mix(n, salt):
    """n numbers in [0, 1): a hash of index and salt, exact in integers (the lowbias32 mixer)."""
    h = (np.arange(n, dtype=np.uint64) + np.uint64(salt * 1000003)) & np.uint64(0xffffffff)
    for shift, factor in ((16, 0x7feb352d), (15, 0x846ca68b)):
        h ^= h >> np.uint64(shift)
        h = h * np.uint64(factor) & np.uint64(0xffffffff)
    h ^= h >> np.uint64(16)
    return (h >> np.uint64(8)).astype(np.float64) / 2 ** 24


def noise(shape, salt):
    return mix(int(np.prod(shape)), salt).reshape(shape)


def inputs():
    n = int(np.prod(SHAPE))
    data = (4 * mix(n, 1) - 2).astype(np.float32).reshape(SHAPE)
    # Blocks of 4 voxels of labels -1, 0, 1, 2.
    z, y, x = np.indices(SHAPE)
    seg = (((z // 3) + 2 * (y // 4) + 3 * (x // 5)) % 4 - 1).astype(np.float32)
    return data, seg


def coordinates(shape, field=None, angles=None, scale=1.):
    coords = utils.create_zero_centered_coordinate_mesh(shape)
    if field is not None:
        coords = coords + field
    if angles is not None:
        coords = utils.rotate_coords_3d(coords, *angles) if len(shape) == 3 else utils.rotate_coords_2d(coords, angles[0])
    coords = utils.scale_coords(coords, scale)
    for d in range(len(shape)):
        coords[d] += shape[d] / 2. - 0.5
    return coords


def elastic(shape, alpha, sigma, salt):
    return np.stack([gaussian_filter(noise(shape, salt + a) * 2 - 1, sigma, mode="constant", cval=0) * alpha
                     for a in range(len(shape))])


def spatial(data, seg, v):
    shape = SHAPE[1:] if v["dummy_2d"] else SHAPE
    field = elastic(shape, v["alpha"], v["sigma"], 10) if v.get("alpha") else None
    coords = coordinates(shape, field, v.get("angles"), v.get("scale", 1.))
    def one(d, s):
        return (utils.interpolate_img(d, coords, 3, "constant", cval=0),
                utils.interpolate_img(s, coords, 1, "constant", cval=-1, is_seg=True))
    if not v["dummy_2d"]:
        return one(data, seg)
    planes = [one(d, s) for d, s in zip(data, seg)]
    return np.stack([p[0] for p in planes]), np.stack([p[1] for p in planes])


VECTORS = [
    {"name": "elastic", "transform": "spatial", "dummy_2d": False, "alpha": 900., "sigma": 9.2},
    {"name": "elastic_rotation_scale", "transform": "spatial", "dummy_2d": False, "alpha": 500., "sigma": 12.7,
     "angles": [0.2, -0.1, 0.05], "scale": 0.9},
    {"name": "scale", "transform": "spatial", "dummy_2d": False, "scale": 0.87},
    {"name": "dummy_2d", "transform": "spatial", "dummy_2d": True, "alpha": 180., "sigma": 9.2, "angles": [-2.2], "scale": 1.2},
    {"name": "blur", "transform": "blur", "value": 0.93},
    {"name": "contrast", "transform": "contrast", "value": 1.2},
    {"name": "low_resolution", "transform": "low resolution", "value": 0.71},
    {"name": "gamma", "transform": "gamma", "value": 0.75},
    {"name": "gamma_inverted", "transform": "gamma inverted", "value": 1.45},
]


def intensity(data, v):
    value, batch = v["value"], data.copy()[None]
    if v["transform"] == "blur":
        return gaussian_filter(data, value, order=0)
    if v["transform"] == "contrast":
        return color_augmentations.augment_contrast(batch, lambda: value)[0]
    if v["transform"] == "low resolution":
        low = np.round(np.array(data.shape) * value).astype(int)
        down = resize(data.astype(float), low, order=0, mode="edge", anti_aliasing=False)
        return resize(down, data.shape, order=3, mode="edge", anti_aliasing=False)
    # The range is drawn from in two halves around one; here every draw is the value.
    uniform, np.random.uniform = np.random.uniform, lambda *_: value
    try:
        return color_augmentations.augment_gamma(batch, (value, value), v["transform"] == "gamma inverted",
                                                 per_channel=True, retain_stats=True)[0]
    finally:
        np.random.uniform = uniform


def main(folder):
    os.makedirs(folder, exist_ok=True)
    data, seg = inputs()
    arrays = {}
    for v in VECTORS:
        if v["transform"] == "spatial":
            arrays[v["name"] + "/data"], mask = spatial(data, seg, v)
            arrays[v["name"] + "/mask"] = mask.astype(np.int16)
        else:
            arrays[v["name"] + "/data"] = intensity(data, v).astype(np.float32)
    np.savez_compressed(os.path.join(folder, "vectors.npz"), **arrays)
    with open(os.path.join(folder, "vectors.json"), "w") as f:
        json.dump({"shape": SHAPE, "vectors": VECTORS}, f, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
