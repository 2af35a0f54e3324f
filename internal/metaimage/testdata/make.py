"""Writes the files of this folder with SimpleITK (2.5.7 made those checked in): python make.py"""
import json
import numpy as np
import SimpleITK as sitk

expected = {}


def write(name, array, compress, spacing, origin, direction):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    sitk.WriteImage(image, name, compress)
    back = sitk.ReadImage(name)
    expected[name] = {"size": list(back.GetSize()), "spacing": list(back.GetSpacing()), "origin": list(back.GetOrigin()),
                      "direction": list(back.GetDirection()), "voxels": sitk.GetArrayFromImage(back).ravel().tolist()}


oblique = np.linalg.qr(np.array([[3.0, 1, 2], [-1, 4, 1], [0.5, -2, 5]]))[0]
write("oblique.mha", (np.arange(60) * 37 % 211 - 100).reshape(3, 4, 5).astype(np.int16), True, (0.5, 0.75, 2.5), (-12.5, 31, 7.25), oblique.ravel())
write("swapped.mhd", np.linspace(-3, 9, 24).reshape(2, 3, 4).astype(np.float32), False, (1, 2, 3), (4, -5, 6), (0, 0, 1, 1, 0, 0, 0, 1, 0))
write("labels.mhd", (np.arange(24) % 3).reshape(4, 3, 2).astype(np.uint8), True, (1, 1, 1), (0, 0, 0), (-1, 0, 0, 0, -1, 0, 0, 0, 1))
json.dump(expected, open("expected.json", "w"), indent=1)
