#!/usr/bin/env python3
"""shape_baseline.py: how far do 38 plain numbers of a shape go on AdrenalMNIST3D and VesselMNIST3D?

The images of both are masks: a voxel is 0 or 255. Volume, extents, axes, thickness and erosions of a shape, and a
logistic regression over them, on the folds of docs/accuracy.jsonl:

  shape_baseline.py FOLDER/adrenalmnist3d_trainval.npz adrenal
  shape_baseline.py FOLDER/vesselmnist3d_trainval.npz vessel --seed 2

prints, per fold and over all folds that the recipe was trained on, the AUC of the numbers, of the network, and of both
together (the mean of their logits). Needs numpy, scipy and scikit-learn.
"""
import argparse
import json
import pathlib

import numpy as np
import scipy.ndimage as nd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def describe(image):
    """Numbers of one shape (Z, Y, X), in voxels."""
    shape = image > 127
    depth = nd.distance_transform_edt(shape)
    inside = depth[shape]
    points = np.argwhere(shape)
    volume = len(points)
    axes = np.sqrt(np.maximum(0, np.linalg.eigvalsh(np.cov((points - points.mean(0)).T))))
    eroded = [nd.binary_erosion(shape, iterations=k).sum() for k in (1, 2, 3)]
    extent = np.ptp(points, axis=0) + 1
    layers = np.histogram(inside, bins=[.5, 1.2, 1.6, 2.3, 3.1, 4, 5, 20])[0]
    return [volume, volume ** .5, inside.max(), np.sort(inside)[-20:].mean(), inside.mean(), *axes, *eroded, *extent, *layers, *layers / volume,
            nd.label(shape)[1], *points.mean(0), *np.percentile(inside, [75, 90, 95, 99]), eroded[0] / volume, volume / extent.prod()]


def logit(p):
    p = np.clip(p, 1e-4, 1 - 1e-4)
    return np.log(p / (1 - p))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("images", help="the MedMNIST file with train and validation images")
    p.add_argument("cohort", help="name of the cohort in the results")
    p.add_argument("--results", default=pathlib.Path(__file__).parent.parent / "docs" / "accuracy.jsonl")
    p.add_argument("--recipe", default="default")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--scale", type=float, default=1)
    a = p.parse_args()
    d = np.load(a.images)
    images = np.concatenate([d["train_images"], d["val_images"]])
    targets = np.concatenate([d["train_labels"], d["val_labels"]]).ravel()
    numbers = np.array([describe(i) for i in images])
    trained = {}
    for line in open(a.results):
        r = json.loads(line)
        if (r["cohort"], r["recipe"], r["seed"], r["scale"]) == (a.cohort, a.recipe, a.seed, a.scale) and r["fold"].isdigit():
            trained[int(r["fold"])] = np.array(r["probabilities"])
    print(f"{len(targets)} shapes, {numbers.shape[1]} numbers each\nfold  numbers  network  both")
    kept = []
    for fold, (train, test) in enumerate(KFold(5, shuffle=True, random_state=12345).split(images)):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000, C=.3)).fit(numbers[train], targets[train])
        shape = logit(model.predict_proba(numbers[test])[:, 1])
        network = logit(trained[fold]) if fold in trained else np.full(len(test), np.nan)
        kept.append((targets[test], shape, network))
        show(fold, *kept[-1])
    known = [k for k in kept if not trained or not np.isnan(k[2]).any()]
    show("all", *(np.concatenate(k) for k in zip(*known)))


def show(fold, targets, shape, network):
    if np.isnan(network).any():
        print(f"{fold:<4}  {roc_auc_score(targets, shape):7.3f}")
    else:
        print(f"{fold:<4}  {roc_auc_score(targets, shape):7.3f}  {roc_auc_score(targets, network):7.3f}  {roc_auc_score(targets, shape + network):5.3f}")


if __name__ == "__main__":
    main()
