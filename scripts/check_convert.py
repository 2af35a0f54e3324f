"""Compares the raw tasks that uc convert writes with their sources, which nibabel, SimpleITK, NumPy, pydicom and Python's csv write: every voxel, affine, class, patient
and split. The names of MedMNIST's classes are compared with the package medmnist where that is installed.

    python scripts/check_convert.py [--seed N] [--rounds N] [--uc PATH]

Needs NumPy, nibabel, SimpleITK and pydicom, and Go if --uc is not given. Exits with 1 if anything differs.
"""
import argparse
import ast
import csv
import hashlib
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk

failures = []


def check(good, what):
    if not good:
        failures.append(what)
        print("DIFFERS:", what)


class UC:
    def __init__(self, path):
        self.path = path

    def __call__(self, *args, code=0):
        r = subprocess.run([self.path, *map(str, args)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        check(r.returncode == code, f"uc {' '.join(map(str, args))}: exit code {r.returncode}, expected {code}\n{r.stderr}")
        return r


def read(path):
    """Voxels as (x, y, z) and the affine in RAS, whatever the format."""
    if str(path).lower().endswith((".mha", ".mhd")):
        im = sitk.ReadImage(str(path))
        affine = np.eye(4)
        affine[:3, :3] = np.array(im.GetDirection()).reshape(3, 3) * np.array(im.GetSpacing())
        affine[:3, 3] = im.GetOrigin()
        return sitk.GetArrayFromImage(im).T, np.diag([-1, -1, 1, 1]) @ affine
    im = nib.load(path)
    return np.asarray(im.dataobj), im.affine


def same(path, voxels, affine, what):
    got, at = read(path)
    check(got.shape == voxels.shape and np.array_equal(got, voxels), f"{what}: voxels of {path}")
    check(np.allclose(at, affine, atol=1e-4), f"{what}: affine of {path}\n{at}\n{affine}")


def digests(folder):
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def only(folder, stem):
    found = [p for p in folder.iterdir() if re.fullmatch(re.escape(stem) + r"\.(nii|nii\.gz|mha|mhd)", p.name)]
    check(len(found) == 1, f"{folder}/{stem}: {found}")
    return found[0]


def grid(rng):
    q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = q * rng.uniform(0.5, 3, 3)
    affine[:3, 3] = rng.normal(size=3) * 50
    return tuple(int(n) for n in rng.integers(8, 16, 3)), affine


def save(rng, path, voxels, affine, kinds=(".nii", ".nii.gz", ".mha", ".mhd")):
    """Writes a file by a library chosen at random; returns its path."""
    kind = rng.choice(kinds)
    path = Path(str(path) + kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind.startswith(".nii"):
        im = (nib.Nifti2Image if rng.random() < 0.2 else nib.Nifti1Image)(voxels, affine)
        im.header.set_data_dtype(voxels.dtype)
        if rng.random() < 0.5:
            im.set_qform(affine, 1)
        nib.save(im, path)
        return path
    lps = np.diag([-1, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    im = sitk.GetImageFromArray(np.ascontiguousarray(voxels.T))
    im.SetSpacing(spacing.tolist())
    im.SetOrigin(lps[:3, 3].tolist())
    im.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    sitk.WriteImage(im, str(path), useCompression=bool(rng.integers(2)))
    return path


def image(rng, shape):
    dtype = rng.choice([np.int16, np.uint8, np.float32, np.uint16])
    return rng.integers(0, 200, shape).astype(dtype)


def mask(rng, shape, values):
    m = np.zeros(shape, np.uint8)
    m[2:6, 2:6, 2:6] = rng.choice(values, (4, 4, 4))
    return m


def write_table(rng, path, header, rows):
    """A table as one of the programs that people use saves it."""
    sep = rng.choice([",", ";", "\t"])
    encoding = rng.choice(["utf-8", "utf-8-sig", "utf-16"])
    with open(path, "w", newline="", encoding=encoding) as f:
        w = csv.writer(f, delimiter=sep, lineterminator=rng.choice(["\n", "\r\n"]))
        if rng.random() < 0.3:
            w.writerow(["A title"] + [""] * (len(header) - 1))
        w.writerow(header)
        w.writerows(rows)


def task(root):
    folder, = (root / "raw" / "nnUNet_raw_data").glob("Task*")
    return folder, json.loads((folder / "dataset.json").read_text())


def table(uc, rng, tmp):
    modalities = int(rng.integers(1, 4))
    layout = rng.choice(["numbered", "folders", "suffixes"])
    suffixes = ["_t1", "-t2", "_flair"][:modalities]
    masks = [None, [0, 1], [0, 255], [0, 1, 2]][rng.integers(4)]
    cases, rows, files = {}, [], {}
    n = int(rng.integers(6, 12))
    for i in range(n):
        cid = f"{rng.choice(['sub-', 'Pä_', '00', 'x y '])}{i}"
        shape, affine = grid(rng)
        files[cid] = []
        for m in range(modalities):
            v = image(rng, shape)
            stem = {"numbered": f"{cid}_{m:04d}", "folders": f"deep/{cid}/{'scan' if modalities == 1 else f's_{m:04d}'}", "suffixes": f"{cid}{suffixes[m]}"}[layout]
            save(rng, tmp / "scans" / stem, v, affine)
            files[cid].append((v, affine))
        if masks:
            v = mask(rng, shape, masks)
            save(rng, tmp / "masks" / (cid + rng.choice(["", "_mask", "-seg"])), v, affine)
            files[cid].append((v, affine))
        cases[cid] = {"Malignant": ["no", "yes"][i % 2], "Grade": [2, 10, 1][i % 3], "who": f"p{i // 2}", "where": "AB"[i % 2], "age": 40 + i / 2, "sex": "fm"[i % 2]}
        rows.append([cid, *cases[cid].values()])
    rng.shuffle(rows)
    write_table(rng, tmp / "labels.csv", ["name of the case", "Malignant", "Grade", "who", "where", "age", "sex"], rows)
    before = digests(tmp)
    args = ["convert", "table", tmp / "labels.csv", "--images", tmp / "scans", "--labels", "Malignant", "Grade", "--patient", "who", "--site", "where",
            "--covariates", "age", "sex", "-t", 3, "--name", "Own", "--data-root", tmp / "D"]
    if masks:
        args += ["--masks", tmp / "masks"]
    if layout == "suffixes":
        args += ["--modalities", *[f"{s[1:].upper()}={s}" for s in suffixes]]
    if rng.random() < 0.5:
        args += ["--copy"]
    uc(*args, code=1)
    check(not (tmp / "D").exists(), "table: something was written without consent")
    uc(*args, "--yes")
    after = digests(tmp)
    check({p: d for p, d in after.items() if not p.is_relative_to(tmp / "D")} == before, "table: the source was changed")
    folder, d = task(tmp / "D")
    check(folder.name == "Task003_Own", f"table: {folder}")
    check([l["values"] for l in d["classification_labels"]] == [{"0": "no", "1": "yes"}, {"0": "1", "1": "2", "2": "10"}], "table: classes")
    check(len(d["training"]) == n and len(d["modality"]) == modalities, "table: cases")
    for e in d["training"]:
        cid = Path(e["image"]).name.removesuffix(".nii.gz")
        c = cases[cid]
        check((e["Malignant"], e["Grade"]) == (["no", "yes"].index(c["Malignant"]), [1, 2, 10].index(c["Grade"])), f"table: classes of {cid}")
        check((e["patient"], e["site"], e["covariates"]) == (c["who"], c["where"], {"age": c["age"], "sex": c["sex"]}), f"table: subject of {cid}")
        for m in range(modalities):
            same(only(folder / "imagesTr", f"{cid}_{m:04d}"), *files[cid][m], "table")
        if masks:
            v, affine = files[cid][-1]
            same(only(folder / "labelsTr", cid), np.where(v == 255, 1, v), affine, "table")
    uc("plan-and-preprocess", "--data-root", tmp / "D", "-t", 3, "--verify_dataset_integrity", "-no_pp", "--allow-outliers", "all")


def medmnist(uc, rng, tmp):
    kind = rng.choice(["adrenalmnist3d", "fracturemnist3d", "organmnist3d_64", "own"])
    classes = {"adrenalmnist3d": 2, "fracturemnist3d": 3, "organmnist3d_64": 11, "own": 4}[kind]
    channels = int(rng.integers(1, 3))
    size = (6, 7, 8) + ((channels,) if channels > 1 else ())
    parts = {}
    for part, n in {"train": 14, "val": 5, "test": 7}.items():
        parts[f"{part}_images"] = rng.integers(0, 256, (n, *size), dtype=np.uint8)
        parts[f"{part}_labels"] = (np.arange(n) % classes).astype(rng.choice([np.uint8, np.int64]))[:, None]
    tmp.mkdir(exist_ok=True)
    (np.savez if rng.random() < 0.5 else np.savez_compressed)(tmp / f"{kind}.npz", **parts)
    uc("convert", "medmnist", tmp / f"{kind}.npz", "--data-root", tmp / "D", "--yes")
    folder, d = task(tmp / "D")
    for part in ("train", "val", "test"):
        for k, (im, label) in enumerate(zip(parts[f"{part}_images"], parts[f"{part}_labels"])):
            cid = f"{part}_{k:05d}"
            where = "imagesTs" if part == "test" else "imagesTr"
            entry, = (e for e in d["test" if part == "test" else "training"] if e["image"] == f"./{where}/{cid}.nii.gz")
            check(entry["Class"] == label[0], f"medmnist: class of {cid}")
            for ch in range(channels):
                v, affine = read(folder / where / f"{cid}_{ch:04d}.nii.gz")
                check(np.array_equal(v.T, im[..., ch] if channels > 1 else im), f"medmnist: voxels of {cid}")
                check(np.allclose(np.abs(affine), np.eye(4)), f"medmnist: affine of {cid}")
    split, = json.loads((tmp / "D" / "preprocessed" / folder.name / "splits_final.json").read_text())
    check(split == {p: [f"{p}_{k:05d}" for k in range(len(parts[f"{p}_labels"]))] for p in ("train", "val")}, "medmnist: splits")
    names = d["classification_labels"][0]["values"]
    spec = importlib.util.find_spec("medmnist")
    if spec and kind != "own":
        text = (Path(spec.submodule_search_locations[0]) / "info.py").read_text()
        tree = next(n.value for n in ast.parse(text).body if isinstance(n, ast.Assign) and n.targets[0].id == "INFO")
        for key, value in zip(tree.keys, tree.values):
            if key.value == kind.removesuffix("_64"):
                label = next(v for k, v in zip(value.keys, value.values) if k.value == "label")
                check(ast.literal_eval(label) == names, f"medmnist: classes {names}")
    else:
        check(len(names) == classes, f"medmnist: classes {names}")


def challenge(uc, rng, tmp, msd):
    modalities = int(rng.integers(1, 4))
    name = "Task05_Organ" if msd else "Dataset005_Organ"
    src = tmp / name
    ending = ".nii.gz" if msd else rng.choice([".nii.gz", ".nii", ".mha"])
    rows, files = [], {}
    for part, n in {"Tr": 6, "Ts": 3}.items():
        for i in range(n):
            cid = f"organ_{part.lower()}{i:03d}"
            shape, affine = grid(rng)
            vs = [image(rng, shape).astype(np.int16) for _ in range(modalities)]
            if msd:
                v = np.stack(vs, -1) if modalities > 1 else vs[0]
                save(rng, src / f"images{part}" / cid, v, affine, [ending])
            else:
                for m, v in enumerate(vs):
                    save(rng, src / f"images{part}" / f"{cid}_{m:04d}", v, affine, [ending])
            g = mask(rng, shape, [0, 1, 2])
            if part == "Tr" or not msd:
                save(rng, src / f"labels{part}" / cid, g, affine, [ending])
            files[cid] = vs, g, affine, part
            if part == "Tr" or not msd and i < 2:
                rows.append([cid, ["low", "high"][i % 2], f"p{i}"])
    names = [f"M{m}" for m in range(modalities)]
    labels = ["background", "organ", "lesion"]
    d = {"name": "Organ", "numTraining": 6}
    if msd:
        (src / "imagesTr" / "._organ_tr000.nii.gz").write_bytes(b"macOS")
        d |= {"modality": dict(zip("012", names)), "labels": dict(zip("012", labels)), "training": [], "test": []}
    else:
        d |= {"channel_names": dict(zip("012", names)), "labels": {l: i for i, l in enumerate(labels)}, "file_ending": ending}
    (src / "dataset.json").write_text(json.dumps(d))
    write_table(rng, tmp / "classes.csv", ["id", "grade", "patient_id"], rows)
    before = digests(tmp)
    uc("convert", "msd" if msd else "nnunet-v2", src, "--labels", tmp / "classes.csv", "--classes", "low", "high", "--data-root", tmp / "D", "--yes")
    after = digests(tmp)
    check({p: h for p, h in after.items() if not p.is_relative_to(tmp / "D")} == before, f"{name}: the source was changed")
    folder, d = task(tmp / "D")
    check(folder.name == "Task005_Organ" and list(d["modality"].values()) == names and list(d["labels"].values()) == labels, f"{name}: {folder}, {d}")
    check((len(d["training"]), len(d["test"])) == (6, 0 if msd else 2), f"{name}: cases")
    for e, part in [(e, "Tr") for e in d["training"]] + [(e, "Ts") for e in d["test"]]:
        cid = Path(e["image"]).name.removesuffix(".nii.gz")
        vs, g, affine, where = files[cid]
        check(where == part and e["grade"] == int(cid[-3:]) % 2 and e["patient"] == f"p{int(cid[-3:])}", f"{name}: entry of {cid}")
        for m, v in enumerate(vs):
            path = only(folder / f"images{part}", f"{cid}_{m:04d}")
            same(path, v, affine, name)
        same(only(folder / f"labels{part}", cid), g, affine, name)
    uc("plan-and-preprocess", "--data-root", tmp / "D", "-t", 5, "--verify_dataset_integrity", "-no_pp", "--allow-outliers", "all")


def folders(uc, rng, tmp):
    official = bool(rng.integers(2))
    files = {}
    for part, n in ({"train": 8, "val": 4, "test": 4} if official else {"": 8}).items():
        for i in range(n):
            kind = ["benign", "malignant"][i % 2]
            shape, affine = grid(rng)
            v = image(rng, shape)
            cid = f"{part}{i}"
            save(rng, tmp / "src" / part / kind / rng.choice([cid, f"{cid}/image", f"{cid}_0000"]), v, affine)
            files[cid] = v, affine, i % 2, part
    uc("convert", "folders", tmp / "src", "-t", 8, "--name", "F", "--label", "Kind", "--data-root", tmp / "D", "--yes")
    folder, d = task(tmp / "D")
    seen = set()
    for e, where in [(e, "imagesTr") for e in d["training"]] + [(e, "imagesTs") for e in d["test"]]:
        cid = Path(e["image"]).name.removesuffix(".nii.gz")
        v, affine, kind, part = files[cid]
        seen.add(cid)
        check(e["Kind"] == kind and (part == "test") == (where == "imagesTs"), f"folders: {e}")
        same(only(folder / where, f"{cid}_0000"), v, affine, "folders")
    check(seen == set(files), "folders: cases")


def dicom(uc, rng, tmp):
    """A table and folders of DICOM, which pydicom writes and SimpleITK (GDCM) reads."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
    rows = []
    for i in range(4):
        q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        q[:, 2] = np.cross(q[:, 0], q[:, 1])
        origin, thickness, series, study = rng.normal(size=3) * 100, rng.uniform(0.5, 5), generate_uid(), generate_uid()
        folder = tmp / "scans" / f"c{i}" / "series"
        folder.mkdir(parents=True)
        for z in rng.permutation(6):
            d = Dataset()
            d.file_meta = FileMetaDataset()
            d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = CTImageStorage
            d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = generate_uid()
            d.SeriesInstanceUID, d.StudyInstanceUID, d.FrameOfReferenceUID = series, study, study
            d.PatientID, d.PatientName, d.Modality, d.InstanceNumber = f"p{i}", "Doe^Jane", "CT", int(z) + 1
            d.Rows, d.Columns, d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 7, 9, 16, 16, 15, 0
            d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
            d.PixelSpacing = [f"{v:.6g}" for v in (0.7, 0.8)]
            d.ImageOrientationPatient = [f"{v:.10g}"[:16] for v in np.r_[q[:, 0], q[:, 1]]]
            d.ImagePositionPatient = [f"{v:.10g}"[:16] for v in origin + z * thickness * q[:, 2]]
            d.SliceThickness, d.RescaleSlope, d.RescaleIntercept = f"{thickness:.6g}", 1, -1024
            d.PixelData = rng.integers(0, 4000, (7, 9), dtype=np.uint16).tobytes()
            d.save_as(folder / f"im{rng.integers(1 << 30)}", enforce_file_format=True)
        rows.append([f"c{i}", ["a", "b"][i % 2]])
    write_table(rng, tmp / "labels.csv", ["case", "kind"], rows)
    uc("convert", "table", tmp / "labels.csv", "--images", tmp / "scans", "--data-root", tmp / "D", "--yes")
    folder, d = task(tmp / "D")
    check(d["modality"] == {"0": "CT"} and len(d["training"]) == 4, f"dicom: {d}")
    for i in range(4):
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp / "scans" / f"c{i}" / "series")))
        want, got = reader.Execute(), sitk.ReadImage(str(folder / "imagesTr" / f"c{i}_0000.nii.gz"))
        check(np.array_equal(sitk.GetArrayFromImage(want), sitk.GetArrayFromImage(got)), f"dicom: voxels of c{i}")
        for name in ("Spacing", "Origin", "Direction"):
            check(np.allclose(getattr(want, "Get" + name)(), getattr(got, "Get" + name)(), atol=1e-3), f"dicom: {name} of c{i}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--uc")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        if not a.uc:
            subprocess.run(["go", "build", "-o", tmp / "uc", "./cmd/uc"], check=True, cwd=Path(__file__).parent.parent)
        uc = UC(a.uc or tmp / "uc")
        for r in range(a.rounds):
            for name, job in {"table": table, "medmnist": medmnist, "nnunet-v2": lambda *x: challenge(*x, False), "msd": lambda *x: challenge(*x, True), "folders": folders, "dicom": dicom}.items():
                where = tmp / f"{name}{r}"
                where.mkdir()
                job(uc, np.random.default_rng([a.seed, r]), where)
    print(f"{a.rounds} rounds, {len(failures)} differences")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
