"""Computes intervals of clustered data apart from uc, and writes the vectors that internal/evaluate is tested against.

    python scripts/gen_clustered_vectors.py internal/evaluate/testdata/clustered.json

Areas and their (co)variances are computed from all pairs of a positive and a negative case, as Obuchowski (Biometrics 53, 1997) states them, for two
scores at once. Shares: the variance comes from the cluster-robust covariance of a linear model of the intercept alone (statsmodels), which is the
ratio estimator; the interval is statsmodels' Wilson interval of the effective number of cases (Rao and Scott, Biometrics 48, 1992).
As a check on the formulas, not of uc, standard errors must agree within a quarter with those of a bootstrap over patients. Needs NumPy, SciPy and statsmodels.
"""
import json
import sys

import numpy as np
import statsmodels.api as sm
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint


def psi(positive, negative):
    d = positive[:, None] - negative[None, :]
    return (d > 0) + 0.5 * (d == 0)


def obuchowski(truth, scores, patients):
    """Areas of several scores, (scores, cases), and their covariance matrix."""
    ids = sorted(set(patients))
    pos, neg = truth == 1, truth == 0
    m, n = pos.sum(), neg.sum()
    v10, v01 = [], []
    for s in scores:
        p = psi(s[pos], s[neg])
        v10.append(p.mean(axis=1))
        v01.append(p.mean(axis=0))
    area = np.array([v.mean() for v in v10])
    def per_cluster(values, who):
        return np.array([[sum(v[who == i] - a) for i in ids] for v, a in zip(values, area)])
    x, y = per_cluster(v10, patients[pos]), per_cluster(v01, patients[neg])
    i10, i01, i = len(set(patients[pos])), len(set(patients[neg])), len(ids)
    s10 = i10 / ((i10 - 1) * m) * x @ x.T
    s01 = i01 / ((i01 - 1) * n) * y @ y.T
    s11 = i / (i - 1) * x @ y.T
    return area, s10 / m + s01 / n + (s11 + s11.T) / (m * n)


def share(hits, patients):
    n, p = len(hits), hits.mean()
    clusters = len(set(patients))
    if clusters == 1 or p in (0, 1):
        effective = clusters
    else:
        codes = np.unique(patients, return_inverse=True)[1]
        fit = sm.OLS(hits.astype(float), np.ones(n)).fit(cov_type="cluster", cov_kwds={"groups": codes, "use_correction": False})
        variance = fit.bse[0] ** 2 * clusters / (clusters - 1)
        effective = n / max(1, variance / (p * (1 - p) / n))
    low, high = proportion_confint(p * effective, effective, method="wilson")
    return {"value": p, "low": low, "high": high}


def bootstrap(truth, scores, patients, rng, rounds=600):
    ids = np.array(sorted(set(patients)))
    where = {i: np.flatnonzero(patients == i) for i in ids}
    areas, shares = [], []
    for _ in range(rounds):
        at = np.concatenate([where[i] for i in rng.choice(ids, len(ids))])
        t, s = truth[at], scores[0][at]
        if 0 < t.sum() < len(t):
            areas.append(psi(s[t == 1], s[t == 0]).mean())
            shares.append(((s > 0.5) == (t == 1)).mean())
    return np.std(areas), np.std(shares)


def main():
    rng = np.random.default_rng(17)
    cohorts = []
    for trial in range(12):
        count = [12, 30, 80][trial % 3]
        patients, truth, scores = [], [], [[], []]
        for i in range(count):
            person, mixed = rng.normal(size=2), rng.random() < 0.5
            disease = rng.integers(2)
            for _ in range(rng.integers(1, [2, 4, 7, 3][trial % 4] + 1)):
                t = rng.integers(2) if mixed else disease
                patients.append(f"P{i}")
                truth.append(t)
                for k in range(2):
                    scores[k].append(1 / (1 + np.exp(-(0.9 * t + person[k] + 0.7 * rng.normal() - 0.4))))
        patients, truth = np.array(patients), np.array(truth)
        scores = np.round(np.array(scores), 2 if trial % 2 else 6)  # with ties and without
        area, cov = obuchowski(truth, scores, patients)
        z = norm.ppf(0.975)
        sd = np.sqrt(np.diag(cov))
        difference = area[0] - area[1]
        sd_difference = np.sqrt(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
        hits = (scores[0] > 0.5) == (truth == 1)
        if count >= 30:
            by_area, by_share = bootstrap(truth, scores, patients, rng)
            s = share(hits, patients)
            print(f"{len(truth)} cases of {count} patients: SE of the area {sd[0]:.4f}, bootstrap {by_area:.4f}; half interval of the share / 1.96 "
                  f"{(s['high'] - s['low']) / 2 / z:.4f}, bootstrap {by_share:.4f}")
            assert abs(by_area / sd[0] - 1) < 0.25, "the bootstrap disagrees"
        cohorts.append({
            "patients": patients.tolist(), "truth": truth.tolist(), "first": scores[0].tolist(), "second": scores[1].tolist(),
            "auc": {"value": area[0], "low": max(0, area[0] - z * sd[0]), "high": min(1, area[0] + z * sd[0])},
            "difference": {"value": difference, "low": difference - z * sd_difference, "high": difference + z * sd_difference},
            "p": 2 * norm.sf(abs(difference) / sd_difference),
            "accuracy": share(hits, patients),
            "sensitivity": share(hits[truth == 1], patients[truth == 1]),
            "all_hits": share(np.ones(len(truth), bool), patients),
        })
    with open(sys.argv[1], "w") as f:
        json.dump(cohorts, f, indent=0)
        f.write("\n")


main()
