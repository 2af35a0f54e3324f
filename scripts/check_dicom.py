#!/usr/bin/env python3
"""Compares `uc convert dicom` with SimpleITK and dcm2niix, voxel by voxel in world space.

    pip install numpy nibabel SimpleITK pydicom pydicom-data highdicom dcm2niix pylibjpeg pylibjpeg-rle
    python3 scripts/check_dicom.py bin/uc

Series come from pydicom's test files (the wheels of pydicom and pydicom-data; nothing is fetched) and from generators below: oblique
orientations, reversed order, a scale of its own for each slice, signed and unsigned pixels, all uncompressed transfer syntaxes, RLE,
JPEG Baseline, enhanced CT and MR, tilted gantry. Series that must be refused are generated as well. Where DCMTK and GDCM are installed
(Debian: dcmtk, libgdcm-tools), series that these have encoded anew must give the same volumes. A table goes to standard output; the exit
code is 1 if anything differs.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (CTImageStorage, DeflatedExplicitVRLittleEndian, EnhancedCTImageStorage, EnhancedMRImageStorage, ExplicitVRBigEndian,
                         ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, MRImageStorage, PositronEmissionTomographyImageStorage,
                         RLELossless, generate_uid)

SHAPE = (7, 24, 20)  # slices, rows, columns
CLASSES = {"CT": CTImageStorage, "MR": MRImageStorage, "PT": PositronEmissionTomographyImageStorage}


def rotation(*angles):
    """Direction cosines (columns: x, y, normal) after turns about x, y and z, in degrees."""
    out = np.eye(3)
    for axis, degrees in enumerate(angles):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        turn = np.eye(3)
        i, j = [k for k in range(3) if k != axis]
        turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
        out = turn @ out
    return out


AXIAL, CORONAL, SAGITTAL = np.eye(3), np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0.0]]), np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0.0]])


def ds(v):
    return [f"{x:.6f}".rstrip("0").rstrip(".")[:16] for x in np.atleast_1d(v)]


def common(modality, syntax, sop_class):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = sop_class, syntax
    meta.MediaStorageSOPInstanceUID = generate_uid()
    d = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128, is_implicit_VR=syntax == ImplicitVRLittleEndian,
                    is_little_endian=syntax != ExplicitVRBigEndian)
    d.SOPClassUID, d.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    d.PatientName, d.PatientID, d.PatientBirthDate = "Secret^Name", "ID-4711", "19700101"
    d.Modality, d.Manufacturer, d.StudyDate, d.SeriesDescription, d.SeriesNumber = modality, "ACME", "20200102", "generated", 3
    d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    return d


def pixels(d, stored, bits, signed, syntax):
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.Rows, d.Columns = stored.shape[-2:]
    d.BitsAllocated = 8 * stored.dtype.itemsize
    d.BitsStored, d.HighBit, d.PixelRepresentation = bits, bits - 1, int(signed)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    raw = stored.astype(stored.dtype.newbyteorder(order)).tobytes()
    d.PixelData = raw + b"\0" * (len(raw) % 2)
    d["PixelData"].VR = "OW" if stored.dtype.itemsize > 1 else "OB"


def save(d, path, syntax):
    if syntax == RLELossless:
        d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        d.compress(RLELossless, encoding_plugin="pydicom")
    if syntax == JPEGBaseline8Bit:
        import io
        from PIL import Image
        buffer = io.BytesIO()
        Image.fromarray(np.frombuffer(d.PixelData, np.uint8)[:d.Rows * d.Columns].reshape(d.Rows, d.Columns)).save(buffer, "JPEG", quality=95)
        d.PixelData = pydicom.encaps.encapsulate([buffer.getvalue()])
        d["PixelData"].is_undefined_length = True
        d["PixelData"].VR = "OB"
    d.save_as(path, enforce_file_format=True)


def classic(folder, modality="CT", syntax=ExplicitVRLittleEndian, direction=AXIAL, spacing=(2.5, 0.7, 0.8), origin=(-50.0, -60, 30), dtype=np.int16,
            bits=None, scale=(1, -1024), order=None, tilt=0.0, skip=(), twice=(), change=None, shape=SHAPE, smooth=False):
    """A series of single-frame files; spacing is z, y, x; scale a pair or one per slice; tilt in degrees."""
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(1)
    dtype = np.dtype(dtype)
    signed, bits = dtype.kind == "i", bits or 8 * dtype.itemsize
    hi = min(2**(bits - signed), 3000)
    stored = rng.integers(-hi + 1 if signed else 0, hi, shape).astype(dtype)
    if smooth:
        z, y, x = np.indices(shape)
        stored = (10 * z + 5 * y + 3 * x).astype(dtype)
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    n = shape[0]
    names = order if order is not None else range(n)
    for z in list(range(n)) + list(twice):
        if z in skip:
            continue
        d = common(modality, syntax, CLASSES[modality])
        d.SeriesInstanceUID, d.StudyInstanceUID, d.FrameOfReferenceUID = series, study, frame
        at = np.array(origin) + direction[:, 2] * spacing[0] * z + direction[:, 1] * np.tan(np.radians(tilt)) * spacing[0] * z
        d.ImagePositionPatient, d.ImageOrientationPatient = ds(at), ds(np.concatenate([direction[:, 0], direction[:, 1]]))
        d.PixelSpacing, d.SliceThickness, d.InstanceNumber, d.AcquisitionNumber = ds(spacing[1:]), ds(spacing[0])[0], z + 1, 1
        if tilt:
            d.GantryDetectorTilt = ds(tilt)[0]
        slope, intercept = scale[z] if isinstance(scale, list) else scale
        d.RescaleSlope, d.RescaleIntercept = ds(slope)[0], ds(intercept)[0]
        pixels(d, stored[z], bits, signed, syntax)
        if change:
            change(d, z)
        copy = "copy" if os.path.exists(os.path.join(folder, f"IM{list(names)[z]:04d}")) else ""
        save(d, os.path.join(folder, f"IM{list(names)[z]:04d}{copy}"), syntax)


def enhanced(folder, modality, direction=AXIAL, spacing=(3.0, 0.9, 1.1), order=None, stacks=1, syntax=ExplicitVRLittleEndian, scale=(1, -1000), times=1):
    """One multi-frame file with per-frame functional groups."""
    os.makedirs(folder, exist_ok=True)
    sop = EnhancedCTImageStorage if modality == "CT" else EnhancedMRImageStorage
    d = common(modality, syntax, sop)
    d.SeriesInstanceUID, d.StudyInstanceUID, d.FrameOfReferenceUID, d.InstanceNumber = generate_uid(), generate_uid(), generate_uid(), 1
    frames = [(z, t) for t in range(times) for z in (order or range(SHAPE[0]))]
    stored = np.random.default_rng(2).integers(0, 3000, (len(frames),) + SHAPE[1:]).astype(np.uint16)
    measures, orient = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness, measures.SpacingBetweenSlices = ds(spacing[1:]), ds(spacing[0])[0], ds(spacing[0])[0]
    orient.ImageOrientationPatient = ds(np.concatenate([direction[:, 0], direction[:, 1]]))
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orient])
    d.SharedFunctionalGroupsSequence = Sequence([shared])
    organisation = generate_uid()
    pointer = Dataset()
    pointer.DimensionOrganizationUID, pointer.DimensionIndexPointer, pointer.FunctionalGroupPointer = organisation, 0x00209057, 0x00209111
    o = Dataset()
    o.DimensionOrganizationUID = organisation
    d.DimensionOrganizationSequence, d.DimensionIndexSequence = Sequence([o]), Sequence([pointer])
    groups = []
    for z, t in frames:
        g, content, position, value = Dataset(), Dataset(), Dataset(), Dataset()
        content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = str(1 + z % stacks), z + 1, [z + 1]
        content.TemporalPositionIndex = t + 1
        position.ImagePositionPatient = ds(np.array([-40.0, -30, 12]) + direction[:, 2] * spacing[0] * z)
        value.RescaleSlope, value.RescaleIntercept, value.RescaleType = ds(scale[0])[0], ds(scale[1])[0], "HU"
        g.FrameContentSequence, g.PlanePositionSequence, g.PixelValueTransformationSequence = Sequence([content]), Sequence([position]), Sequence([value])
        groups.append(g)
    d.PerFrameFunctionalGroupsSequence, d.NumberOfFrames = Sequence(groups), len(frames)
    pixels(d, stored, 16, False, syntax)
    save(d, os.path.join(folder, "enhanced"), syntax)


def legacy(folder):
    """An enhanced file made from a classic series by highdicom."""
    from highdicom.legacy import LegacyConvertedEnhancedCTImage
    classic(folder + "_parts", order=[3, 1, 0, 2, 6, 5, 4])
    parts = [pydicom.dcmread(os.path.join(folder + "_parts", f)) for f in sorted(os.listdir(folder + "_parts"))]
    for d in parts:
        d.AccessionNumber, d.StudyID, d.StudyTime, d.PatientSex, d.ContentDate, d.ContentTime = "", "1", "", "", "20200102", "101010"
        d.ReferringPhysicianName, d.PositionReferenceIndicator, d.Laterality = "", "", ""
    os.makedirs(folder)
    LegacyConvertedEnhancedCTImage(parts, generate_uid(), 1, generate_uid(), 1).save_as(os.path.join(folder, "enhanced"))
    shutil.rmtree(folder + "_parts")


def recoded(root):
    """name -> folder of a series or an enhanced file that DCMTK or GDCM have written anew; the first of a kind is what they started from."""
    variants = {f"{s}, {n}": ["dcmconv", s, e] for s in ("+te", "+ti", "+tb", "+td") for e, n in (("+e", "defined lengths"), ("-e", "undefined lengths"))}
    variants.update({"no meta information": ["dcmconv", "-F", "+te"], "no meta information, implicit": ["dcmconv", "-F", "+ti"], "dcmcrle": ["dcmcrle"],
                     "gdcmconv --rle": ["gdcmconv", "--rle"], "JPEG Lossless and back": (["gdcmconv", "--jpeg"], ["dcmdjpeg"]),
                     "JPEG-LS and back": (["gdcmconv", "--jpegls"], ["dcmdjpls"]), "JPEG 2000 and back": (["gdcmconv", "--j2k"], ["gdcmconv", "--raw"])})
    for kind, make in (("classic", lambda f: classic(f, dtype=np.uint16, bits=12, direction=rotation(20, -15, 35))), ("enhanced", lambda f: enhanced(f, "MR"))):
        start = os.path.join(root, kind)
        make(start)
        yield kind, kind, start
        for name, commands in variants.items():
            folder = start
            for i, command in enumerate(commands if isinstance(commands, tuple) else (commands,)):
                source, folder = folder, os.path.join(root, f"{kind} {name} {i}")
                os.makedirs(folder)
                for f in os.listdir(source):
                    subprocess.run([*command, os.path.join(source, f), os.path.join(folder, f)], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            yield kind, f"{kind}, {name}", folder


def data_folder(package):
    module = __import__(package)
    return os.path.dirname(module.__file__)


def convertible(root):
    """name -> (maker, what else uc is told, what it is compared with)."""
    oblique = rotation(20, -15, 35)
    both, itk = ("itk", "dcm2niix"), ("itk",)
    per_slice = [(0.5 + 0.1 * z, 3 - z) for z in range(SHAPE[0])]
    pyd = os.path.join(data_folder("pydicom"), "data", "test_files")
    store = os.path.join(data_folder("data_store"), "data")

    def copied(source):
        def make(folder):
            os.makedirs(folder)
            for f in [source] if os.path.isfile(source) else [os.path.join(source, f) for f in sorted(os.listdir(source))]:
                shutil.copy(f, folder)
        return make

    def overlays(d, _z):  # bits above those stored
        raw = np.frombuffer(d.PixelData, np.uint16).copy()
        d.PixelData = (raw | np.uint16(0xA000)).tobytes()

    cases = {
        "axial CT, int16": (lambda f: classic(f), [], both),
        "axial CT, uint16 of 12 bits": (lambda f: classic(f, dtype=np.uint16, bits=12), [], both),
        "axial CT, overlay bits": (lambda f: classic(f, dtype=np.uint16, bits=12, change=overlays), [], itk),
        "uint16 beyond int16": (lambda f: classic(f, dtype=np.uint16, scale=(20, 0)), [], itk),
        "8 bits": (lambda f: classic(f, dtype=np.uint8, scale=(1, 0)), [], both),
        "coronal": (lambda f: classic(f, direction=CORONAL), [], both),
        "sagittal": (lambda f: classic(f, direction=SAGITTAL), [], both),
        "oblique": (lambda f: classic(f, direction=oblique), [], both),
        "reversed files": (lambda f: classic(f, direction=oblique, order=list(range(SHAPE[0]))[::-1]), [], both),
        "shuffled files": (lambda f: classic(f, direction=CORONAL, order=[3, 0, 6, 1, 5, 2, 4]), [], both),
        "PET, scale per slice": (lambda f: classic(f, "PT", scale=per_slice), [], both),
        "PET, integral scale per slice": (lambda f: classic(f, "PT", scale=[(1 + z % 3, -z) for z in range(SHAPE[0])]), [], both),
        "MR, unsigned": (lambda f: classic(f, "MR", dtype=np.uint16, bits=12, scale=(1, 0), direction=oblique), [], both),
        "MR, scaled": (lambda f: classic(f, "MR", dtype=np.uint16, bits=12, scale=(2, 5)), [], both),
        "MR, scaled by slice": (lambda f: classic(f, "MR", dtype=np.uint16, bits=12, scale=per_slice), [], both),
        "CT, scaled by slice": (lambda f: classic(f, scale=per_slice), [], both),
        "implicit VR": (lambda f: classic(f, syntax=ImplicitVRLittleEndian), [], both),
        "big endian": (lambda f: classic(f, syntax=ExplicitVRBigEndian), [], both),
        "deflated": (lambda f: classic(f, syntax=DeflatedExplicitVRLittleEndian), [], itk),
        "RLE": (lambda f: classic(f, syntax=RLELossless), [], both),
        "RLE, 8 bits": (lambda f: classic(f, syntax=RLELossless, dtype=np.uint8, scale=(1, 0)), [], both),
        "JPEG Baseline (within 1)": (lambda f: classic(f, syntax=JPEGBaseline8Bit, dtype=np.uint8, scale=(1, 0), smooth=True), [], itk),
        "enhanced CT": (lambda f: enhanced(f, "CT"), [], ("generated", "dcm2niix")),
        "enhanced MR, oblique, shuffled": (lambda f: enhanced(f, "MR", direction=oblique, order=[3, 0, 6, 1, 5, 2, 4], scale=(2, 0)), [], ("generated", "dcm2niix")),
        "enhanced CT, RLE": (lambda f: enhanced(f, "CT", syntax=RLELossless), [], ("generated",)),
        "enhanced CT by highdicom": (legacy, [], ("generated", "dcm2niix")),
        "tilted gantry, kept": (lambda f: classic(f, tilt=12), ["--keep-tilt"], ("generated",)),
        "one slice": (lambda f: classic(f, shape=(1, 24, 20)), ["--min-slices", "1"], both),
        "pydicom CT, 5 slices": (copied(os.path.join(pyd, "dicomdirtests", "98892001", "CT5N")), [], both),
        "pydicom CT_small": (copied(os.path.join(pyd, "CT_small.dcm")), ["--min-slices", "1"], itk),
        "pydicom MR_small": (copied(os.path.join(pyd, "MR_small.dcm")), ["--min-slices", "1"], itk),
        "pydicom MR_small, big endian": (copied(os.path.join(pyd, "MR_small_bigendian.dcm")), ["--min-slices", "1"], itk),
        "pydicom MR_small, RLE": (copied(os.path.join(pyd, "MR_small_RLE.dcm")), ["--min-slices", "1"], itk),
        "pydicom MR_small, padded": (copied(os.path.join(pyd, "MR_small_padded.dcm")), ["--min-slices", "1"], itk),
        "pydicom MR with overlays": (copied(os.path.join(store, "MR-SIEMENS-DICOM-WithOverlays.dcm")), ["--min-slices", "1"], itk),
        "pydicom enhanced CT": (copied(os.path.join(store, "eCT_Supplemental.dcm")), [], ("generated",)),
        "pydicom CT 693": (copied(os.path.join(store, "693_UNCI.dcm")), ["--min-slices", "1"], itk),
        "pydicom MR2": (copied(os.path.join(store, "MR2_UNCI.dcm")), ["--min-slices", "1"], itk),
    }
    return cases


def refusable():
    """name -> (maker, kind of the refusal)."""
    def turned(d, z):
        if z in (2, 3):
            d.ImageOrientationPatient, d.ImageType = ds([0, 1, 0, 0, 0, -1]), ["ORIGINAL", "PRIMARY", "AXIAL"]

    def localizer(d, z):
        if z == 0:
            d.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    def colour(d, _z):
        d.SamplesPerPixel, d.PhotometricInterpretation, d.PlanarConfiguration = 3, "RGB", 0
        d.BitsAllocated, d.BitsStored, d.HighBit = 8, 8, 7
        d.PixelData = bytes(3 * d.Rows * d.Columns)

    def smaller(d, z):
        if z == 4:
            d.Rows, d.PixelData = d.Rows // 2, d.PixelData[:len(d.PixelData) // 2]

    def other_patient(d, z):
        if z > 3:
            d.PatientID = "another"

    def echoes(d, z):
        d.EchoTime, d.EchoNumbers = 10 + 20 * (z % 2), 1 + z % 2

    def jittered(d, z):
        if z == 3:
            p = d.ImagePositionPatient
            d.ImagePositionPatient = [p[0], p[1], p[2] + 0.9]

    def upper(d, _z):  # 12 bits at the upper end
        raw = np.frombuffer(d.PixelData, np.uint16).copy()
        d.PixelData, d.HighBit = (raw << 4).tobytes(), 15

    def shifted(d, z):
        if z == 3:
            p = d.ImagePositionPatient
            d.ImagePositionPatient = [p[0] + 4, p[1], p[2]]

    return {
        "a slice is missing": (lambda f: classic(f, skip=(3,)), "gap"),
        "two slices are missing": (lambda f: classic(f, direction=rotation(20, -15, 35), skip=(2, 3)), "gap"),
        "a slice lies elsewhere": (lambda f: classic(f, change=jittered), "uneven-spacing"),
        "a slice is shifted sideways": (lambda f: classic(f, change=shifted), "crooked"),
        "a slice is there twice": (lambda f: classic(f, twice=(2,)), "duplicate-positions"),
        "tilted gantry": (lambda f: classic(f, tilt=12), "tilted-gantry"),
        "varying orientation": (lambda f: classic(f, change=turned), "varying-orientation"),
        "a localizer among them": (lambda f: classic(f, change=localizer), "localizer"),
        "RGB": (lambda f: classic(f, change=colour), "colour"),
        "varying matrix": (lambda f: classic(f, change=smaller), "varying-matrix"),
        "two patients": (lambda f: classic(f, change=other_patient), "mixed-series"),
        "two echoes": (lambda f: classic(f, "MR", change=echoes), "mixed-series"),
        "high bit 15 of 12": (lambda f: classic(f, dtype=np.uint16, bits=12, change=upper), "pixel-format"),
        "enhanced, two stacks": (lambda f: enhanced(f, "MR", stacks=2), "stacks"),
        "enhanced, two time points": (lambda f: enhanced(f, "MR", times=2), "duplicate-positions"),
    }


def by_itk(folder):
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    im = reader.Execute() if len(files) > 1 else sitk.ReadImage(files[0])
    affine = np.eye(4)
    affine[:3, :3] = np.array(im.GetDirection()).reshape(3, 3) * np.array(im.GetSpacing())
    affine[:3, 3] = im.GetOrigin()
    return sitk.GetArrayFromImage(im).transpose(2, 1, 0), np.diag([-1, -1, 1, 1.0]) @ affine


def by_dcm2niix(folder, out):
    import dcm2niix
    os.makedirs(out)
    program = getattr(dcm2niix, "bin", None) or "dcm2niix"
    subprocess.run([program, "-z", "n", "-b", "n", "-f", "out", "-o", out, folder], check=True, stdout=subprocess.PIPE)
    files = sorted(f for f in os.listdir(out) if f.endswith(".nii"))
    if not files:
        raise ValueError("dcm2niix wrote nothing")
    im = nibabel.load(os.path.join(out, files[0]))
    return np.asarray(im.get_fdata()), im.affine


def by_pydicom(folder):
    """Every frame at the place that its own attributes name."""
    frames = []
    for f in sorted(os.listdir(folder)):
        d = pydicom.dcmread(os.path.join(folder, f))
        array = d.pixel_array.reshape((-1, d.Rows, d.Columns))
        shared = d.get("SharedFunctionalGroupsSequence", [Dataset()])
        shared = shared[0] if shared else Dataset()
        for i in range(len(array)):
            per = d.PerFrameFunctionalGroupsSequence[i] if "PerFrameFunctionalGroupsSequence" in d else Dataset()

            def of(sequence, name, missing=None):
                for g in (per, shared):
                    if sequence in g and name in g[sequence].value[0]:
                        return g[sequence].value[0][name].value
                return d[name].value if name in d else missing
            position = np.array(of("PlanePositionSequence", "ImagePositionPatient"), float)
            orientation = np.array(of("PlaneOrientationSequence", "ImageOrientationPatient"), float)
            spacing = np.array(of("PixelMeasuresSequence", "PixelSpacing"), float)
            slope, intercept = (float(of("PixelValueTransformationSequence", n, m)) for n, m in (("RescaleSlope", 1), ("RescaleIntercept", 0)))
            frames.append((position, orientation, spacing, array[i].astype(float) * slope + intercept))
    normal = np.cross(frames[0][1][:3], frames[0][1][3:])
    frames.sort(key=lambda f: f[0] @ normal)
    position, orientation, spacing, _ = frames[0]
    step = (frames[-1][0] - position) / (len(frames) - 1)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2], affine[:3, 3] = orientation[:3] * spacing[1], orientation[3:] * spacing[0], step, position
    return np.stack([f[3] for f in frames]).transpose(2, 1, 0), np.diag([-1, -1, 1, 1.0]) @ affine


def compare(ours, theirs, exact):
    """Largest distance in mm between a voxel and the one of the other image there, and largest difference of their values."""
    a, A = ours
    b, B = theirs
    index = np.indices(a.shape[:3]).reshape(3, -1)
    world = A @ np.vstack([index, np.ones(index.shape[1])])
    there = np.rint((np.linalg.inv(B) @ world)[:3]).astype(int)
    if (there < 0).any() or (there.T >= np.array(b.shape[:3])).any():
        raise ValueError("a voxel lies outside of the other image")
    if a.size != b.size:
        raise ValueError(f"{a.size} voxels, the other image has {b.size}")
    distance = np.abs((B @ np.vstack([there, np.ones(there.shape[1])]) - world)[:3]).max()
    difference = np.abs(a.reshape(-1).astype(float) - b[tuple(there)].astype(float)).max()
    axes = [0, 1, 3] if a.shape[2] == 1 else [0, 1, 2, 3]  # ITK gives a single slice a thickness of 1 mm
    same = exact and a.shape == b.shape[:3] and np.allclose(A[:, axes], B[:, axes], atol=1e-3) and (there == index).all()
    return distance, difference, same


def convert(uc, folder, out, *more):
    """What uc makes of a folder; it must leave the patient's name out and the mapping beside the source."""
    p = subprocess.run([uc, "convert", "dicom", folder, "-o", out, "--json", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if not p.stdout:
        raise ValueError(p.stderr)
    return json.loads(p.stdout), p


def main(uc):
    root = tempfile.mkdtemp(prefix="check_dicom_")
    bad, rows = 0, []
    for i, (name, (make, more, references)) in enumerate(convertible(root).items()):
        folder, out = os.path.join(root, f"in{i}"), os.path.join(root, f"out{i}")
        make(folder)
        answer, p = convert(uc, folder, out, *more)
        images = [s["image"] for s in answer["series"] if s["status"] == "converted"]
        if len(images) != 1:
            bad += 1
            rows.append((name, "uc", "NOT CONVERTED: " + "; ".join(r["reason"] for s in answer["series"] for r in s["reasons"]) + p.stderr[-200:]))
            continue
        im = nibabel.load(images[0])
        ours = np.asarray(im.dataobj), im.get_sform()
        with open(images[0], "rb") as f:
            import gzip
            header = gzip.decompress(f.read())[:352]
        if any(header[148:148 + 104]) or b"Secret" in header:  # descrip and aux_file
            bad += 1
            rows.append((name, "uc", "descrip or aux_file is not empty"))
        for reference in references:
            try:
                theirs = {"itk": by_itk, "generated": by_pydicom}[reference](folder) if reference != "dcm2niix" else by_dcm2niix(folder, out + "_dcm2niix")
                distance, difference, same = compare(ours, theirs, reference != "dcm2niix")
                scale = max(1, np.abs(theirs[0]).max())
                allowed = 1 if "JPEG" in name else 4e-7 * scale  # float32
                ok = distance < 2e-3 and difference <= allowed and (same or reference == "dcm2niix")
                bad += not ok
                rows.append((name, reference, f"{'ok' if ok else 'DIFFERS'}: {ours[0].size} voxels {ours[0].dtype}, at most {distance:.1e} mm apart, values {difference:.1e}"
                             + (", same axes" if same else "")))
            except Exception as e:  # of a reference: told and counted
                bad += 1
                rows.append((name, reference, f"FAILED: {e}"))
    for i, (name, (make, kind)) in enumerate(refusable().items()):
        folder, out = os.path.join(root, f"refused{i}"), os.path.join(root, f"refused_out{i}")
        make(folder)
        answer, p = convert(uc, folder, out)
        kinds = [r["kind"] for s in answer["series"] for r in s["reasons"]]
        ok = kind in kinds and p.returncode == 1 and not os.listdir(out) or [f for f in os.listdir(out) if f.endswith(".gz")] == [] and kind in kinds and p.returncode == 1
        bad += not ok
        rows.append((name, "refused", ("ok: " if ok else "NOT REFUSED: ") + "; ".join(r["reason"] for s in answer["series"] for r in s["reasons"])))
    if all(shutil.which(p) for p in ("dcmconv", "dcmcrle", "dcmdjpeg", "dcmdjpls", "gdcmconv")):
        first = {}
        for kind, name, folder in recoded(root):
            answer, p = convert(uc, folder, folder + "_out")
            images = [s["image"] for s in answer["series"] if s["status"] == "converted"]
            ok = len(images) == 1
            if ok:
                im = nibabel.load(images[0])
                a, A = first.setdefault(kind, (np.asarray(im.dataobj), im.affine))
                ok = np.array_equal(a, np.asarray(im.dataobj)) and np.array_equal(A, im.affine)
            bad += not ok
            rows.append((name, "recoded", "ok: same voxels and affine" if ok else "DIFFERS: " + p.stderr[-200:]))
    else:
        print("DCMTK and GDCM (dcmconv, gdcmconv, ...) are not installed: what they write is not compared")
    for name, reference, text in rows:
        print(f"{name:34s} {reference:10s} {text}")
    print(f"{len(rows)} comparisons, {bad} bad")
    shutil.rmtree(root)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
