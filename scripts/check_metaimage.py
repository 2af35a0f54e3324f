"""Compares uc's reader of MetaImage files with SimpleITK, voxel by voxel: every scalar type, both byte orders, raw and
compressed, .mha and .mhd, with and without CompressedDataSize, oblique, mirrored and 2D images, and NIfTI copies.

    python scripts/check_metaimage.py [--seed N] [--files N]

Needs Go, NumPy and SimpleITK. Exits with 1 if any file differs.
"""
import argparse
import json
import re
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

TYPES = {"MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
         "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8"}


def voxels(rng, dtype, shape):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return (rng.normal(size=shape) * 10.0 ** rng.integers(-3, 9)).astype(dtype)
    info = np.iinfo(dtype)
    a = rng.integers(info.min, info.max, size=shape, dtype=dtype, endpoint=True)
    return a if rng.random() < 0.5 else (a % 7).astype(dtype)  # the second compresses


def direction(rng, dims):
    kind = rng.integers(3)
    if kind == 0:
        return np.eye(dims)
    if kind == 1:  # axes swapped and mirrored
        return np.eye(dims)[rng.permutation(dims)] * rng.choice([-1, 1], size=dims)
    return np.linalg.qr(rng.normal(size=(dims, dims)))[0]


def by_hand(rng, folder, i):
    """A file that SimpleITK reads but does not write: byte orders, types and spellings."""
    kind = rng.choice(list(TYPES))
    big, compress, pair, text = (bool(b) for b in rng.integers(0, 2, 4))
    text = text and not compress and not big and rng.random() < 0.5  # SimpleITK swaps the bytes of text, too
    size = rng.integers(1, 12, 3)
    a = voxels(rng, TYPES[kind], size[::-1])
    stored = a.astype(np.dtype(TYPES[kind]).newbyteorder(">" if big else "<")).tobytes()
    if text:
        stored = " ".join(repr(v) for v in a.ravel().tolist()).encode() + b"\n"
    matrix = direction(rng, 3)
    lines = ["ObjectType = Image", "NDims = 3", f"BinaryData = {not text}", f"{rng.choice(['BinaryDataByteOrderMSB', 'ElementByteOrderMSB'])} = {big}"]
    if compress:
        stored = zlib.compress(stored)
        # Without the size SimpleITK returns memory that it never filled, so it is always there.
        lines += ["CompressedData = True", f"CompressedDataSize = {len(stored)}"]
    lines += [f"{rng.choice(['TransformMatrix', 'Rotation', 'Orientation'])} = " + " ".join(map(repr, matrix.ravel().tolist())),
              f"{rng.choice(['Offset', 'Position', 'Origin'])} = " + " ".join(map(repr, rng.normal(size=3).tolist())),
              f"{rng.choice(['ElementSpacing', 'ElementSize'])} = " + " ".join(map(repr, rng.uniform(0.1, 5, 3).tolist())),
              "DimSize = " + " ".join(map(str, size)), f"ElementType = {kind}"]
    name = f"hand_{i}.raw"
    lines.append("ElementDataFile = " + (name if pair else "LOCAL"))
    end = "\r\n" if rng.random() < 0.2 else "\n"
    head = (end.join(lines) + end).encode()
    if rng.random() < 0.2:
        head = head.replace(b" = ", b"=")
    path = folder / f"hand_{i}{'.mhd' if pair else '.mha'}"
    if pair:
        (folder / name).write_bytes(stored)
        path.write_bytes(head)
    else:
        path.write_bytes(head + stored)
    return path


def by_simpleitk(rng, folder, i):
    dims = 2 if rng.random() < 0.1 else 3
    kind = rng.choice(sorted(set(TYPES.values())))
    image = sitk.GetImageFromArray(voxels(rng, kind, rng.integers(1, 40, dims)))
    image.SetSpacing(rng.uniform(0.1, 5, dims).tolist())
    image.SetOrigin((rng.normal(size=dims) * 100).tolist())
    image.SetDirection(direction(rng, dims).ravel().tolist())
    ext = rng.choice([".mha", ".mhd", ".nii.gz"] if dims == 3 else [".mha", ".mhd"])
    path = folder / f"sitk_{i}{ext}"
    sitk.WriteImage(image, str(path), bool(rng.integers(2)))
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, default=400)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as tmp:
        folder, out = Path(tmp, "in"), Path(tmp, "out")
        folder.mkdir()
        out.mkdir()
        subprocess.run(["go", "build", "-o", Path(tmp, "dump"), "./scripts/dumpimage"], cwd=root, check=True)
        paths = [(by_hand if i % 2 else by_simpleitk)(rng, folder, i) for i in range(args.files)]
        subprocess.run([Path(tmp, "dump"), out, *paths], check=True)
        counts, wrong, compared = {}, [], 0
        for i, path in enumerate(paths):
            image = sitk.ReadImage(str(path))
            want = sitk.GetArrayFromImage(image).astype(np.float32)
            dims = image.GetDimension()
            if not (out / f"{i}.npy").exists():
                wrong.append(f"{path.name}: refused: {(out / f'{i}.err').read_text().strip()}")
                continue
            got, g = np.load(out / f"{i}.npy"), json.loads((out / f"{i}.json").read_text())
            matrix = np.array(g["Direction"]).reshape(3, 3)[:dims, :dims]
            problems = []
            if got.reshape(want.shape).shape != want.shape or not np.array_equal(got.reshape(want.shape), want):
                problems.append("voxels")
            for name, a, b in [("spacing", g["Spacing"][::-1][:dims], image.GetSpacing()), ("origin", g["Origin"][:dims], image.GetOrigin()),
                               ("direction", matrix.ravel(), image.GetDirection())]:
                if not np.allclose(a, b, rtol=1e-9, atol=1e-9 if path.suffix != ".gz" else 1e-4):
                    problems.append(f"{name} {a} instead of {b}")
            if problems:
                wrong.append(f"{path.name}: {', '.join(problems)}")
            compared += want.size
            key = re.sub(r"_\d+", "", path.name) + " " + image.GetPixelIDTypeAsString()
            counts[key] = counts.get(key, 0) + 1
        for key in sorted(counts):
            print(f"{counts[key]:4d} {key}")
        print(f"{len(paths)} files, {compared} voxels compared, {len(wrong)} files differ")
        print("\n".join(wrong))
        sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
