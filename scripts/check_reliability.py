#!/usr/bin/env python3
"""Checks uc's statistics of probabilities and doubt against scikit-learn, SciPy and plain NumPy.

Writes the table that the Go tests hold (internal/calibrate, internal/conformal, internal/outlier, internal/evaluate):
    python scripts/check_reliability.py internal/calibrate/testdata/reliability.json
Needs numpy, scipy and scikit-learn.
"""
import json
import sys

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.covariance import LedoitWolf
from sklearn.metrics import brier_score_loss, cohen_kappa_score, log_loss, mean_absolute_error

BINS = 10


def cohort(rng, n, classes, sharpness):
    """Logits that are too sharp by a known factor, and classes drawn from what they should be."""
    z = rng.normal(size=(n, classes)) * 1.5
    p = softmax(z, axis=1)
    y = np.array([rng.choice(classes, p=row) for row in p])
    return np.round(z * sharpness, 6), y


def temperature(z, y):
    # The root of the derivative, found by bisection to the last bit: a minimiser stops at the root of the precision.
    def slope(b):
        p = softmax(b * z, axis=1)
        return np.mean((p * z).sum(axis=1) - z[np.arange(len(y)), y])
    from scipy.optimize import brentq
    b = brentq(slope, 1 / 100, 10, xtol=1e-16, rtol=1e-15, maxiter=500)
    coarse = minimize_scalar(lambda t: -log_softmax(z / t, axis=1)[np.arange(len(y)), y].mean(), bounds=(0.1, 100), method="bounded")
    assert abs(coarse.x - 1 / b) < 1e-3
    return 1 / b


def measures(p, y):
    classes = p.shape[1]
    which = [1] if classes == 2 else list(range(classes))
    out = dict(log_loss=log_loss(y, p, labels=list(range(classes))))
    out["brier"] = brier_score_loss(y, p[:, 1]) if classes == 2 else float(((p - np.eye(classes)[y]) ** 2).sum(axis=1).mean())
    rel = res = unc = ece = rms = 0.0
    for c in which:
        q, t = p[:, c], (y == c).astype(float)
        b = np.clip((q * BINS).astype(int), 0, BINS - 1)
        for k in range(BINS):
            if not (b == k).any():
                continue
            w = (b == k).mean()
            rel += w * (q[b == k].mean() - t[b == k].mean()) ** 2
            res += w * (t[b == k].mean() - t.mean()) ** 2
            ece += w * abs(q[b == k].mean() - t[b == k].mean()) / len(which)
        unc += t.mean() * (1 - t.mean())
        order = np.argsort(q, kind="stable")
        bins = max(1, min(BINS, len(q) // 10))
        edges = [int(np.ceil((k + 1) * len(q) / bins - 1e-9)) for k in range(bins)]
        start = 0
        for e in edges:
            i = order[start:e]
            start = e
            m = t[i].mean()
            rms += len(i) / len(q) * ((q[i].mean() - m) ** 2 - m * (1 - m) / (len(i) - 1)) / len(which)
    out.update(reliability=rel, resolution=res, uncertainty=unc, within=out["brier"] - (rel - res + unc), ece=ece, debiased_rms=float(np.sqrt(max(0, rms))))
    slopes, intercepts = [], []
    for c in which:
        t = (y == c).astype(float)
        x = np.log(p[:, c]) - np.log(np.delete(p, c, axis=1).sum(axis=1))

        def nll(a, x=x, t=t):
            s = a[0] * x + a[1]
            return np.sum(np.logaddexp(0, s) - t * s)

        def grad(a, x=x, t=t):
            r = 1 / (1 + np.exp(-(a[0] * x + a[1]))) - t
            return np.array([(r * x).sum(), r.sum()])

        def hess(a, x=x):
            q = 1 / (1 + np.exp(-(a[0] * x + a[1])))
            v = q * (1 - q)
            return np.array([[(v * x * x).sum(), (v * x).sum()], [(v * x).sum(), v.sum()]])
        a = minimize(nll, [1, 0], jac=grad, hess=hess, method="trust-exact", options=dict(gtol=1e-12)).x
        for _ in range(3):
            a = a - np.linalg.solve(hess(a), grad(a))
        slopes.append(a[0])
        from scipy.optimize import brentq
        intercepts.append(brentq(lambda b, x=x, t=t: np.sum(1 / (1 + np.exp(-(x + b))) - t), -50, 50, xtol=1e-15, rtol=1e-15))
    out.update(slopes=slopes, intercepts=intercepts)
    return {k: (list(map(float, v)) if isinstance(v, list) else float(v)) for k, v in out.items()}


def main():
    rng = np.random.default_rng(18)
    table = dict(calibration=[], ledoit_wolf=[], ordinal=[])
    for n, classes, sharp in [(60, 2, 2.0), (37, 2, 0.6), (80, 3, 3.0), (45, 4, 1.0)]:
        z, y = cohort(rng, n, classes, sharp)
        t = temperature(z, y)
        table["calibration"].append(dict(logits=z.tolist(), targets=y.tolist(), temperature=t, before=measures(softmax(z, axis=1), y), after=measures(softmax(z / t, axis=1), y)))
    for n, p in [(12, 5), (7, 20), (40, 3)]:
        x = np.round(rng.normal(size=(n, p)) @ np.diag(np.linspace(0.2, 2, p)) + rng.normal(size=p), 6)
        new = np.round(rng.normal(size=(3, p)) * 2, 6)
        lw = LedoitWolf().fit(x)
        table["ledoit_wolf"].append(dict(cases=x.tolist(), new=new.tolist(), shrinkage=float(lw.shrinkage_), distances=np.sqrt(lw.mahalanobis(new)).tolist(), own=np.sqrt(lw.mahalanobis(x)).tolist()))
    for n, classes in [(50, 4), (30, 3)]:
        y = rng.integers(0, classes, n)
        q = np.clip(y + rng.integers(-1, 2, n), 0, classes - 1)
        table["ordinal"].append(dict(targets=y.tolist(), predicted=q.tolist(), classes=classes, kappa=float(cohen_kappa_score(y, q, weights="quadratic")), mae=float(mean_absolute_error(y, q))))
    with open(sys.argv[1], "w") as f:
        json.dump(table, f)
        f.write("\n")
    print(f"{sys.argv[1]}: {len(table['calibration'])} cohorts, {len(table['ledoit_wolf'])} covariances, {len(table['ordinal'])} ordinal tables")


if __name__ == "__main__":
    main()
