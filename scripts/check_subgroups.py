"""Checks the statistics of `uc evaluate --covariates` and `uc compare` against SciPy, statsmodels, scikit-learn and NumPy.

    python scripts/check_subgroups.py --uc bin/uc [--cohorts 40] DIR

makes random cohorts in DIR: two or three classes, one or several scans per patient, patients whose scans lie in several subgroups, ties, rare
classes, and compares every number of subgroups.csv's source, evaluation.json, and of compare.json with one computed here, from all pairs of cases
(areas, DeLong, Obuchowski), scipy.stats (chi-square, Fisher, binomial), statsmodels (Holm, Wilson) or by counting out (Freeman-Halton, sign flips,
score test). Limit 1e-9; intervals of the bootstrap, which draw at random, must agree with an own bootstrap within its error.
Needs NumPy, SciPy, scikit-learn and statsmodels. Exits with 1 if anything differs.
"""
import argparse
import csv
import itertools
import json
import math
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.metrics import average_precision_score, balanced_accuracy_score, brier_score_loss
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

LIMIT = 1e-9
Z = stats.norm.ppf(0.975)
FEW, SIDE = 10, 5


# ---- cohorts

def cohort(seed):
    rng = np.random.default_rng(seed)
    classes = int(rng.choice([2, 2, 3]))
    n = int(rng.integers(50, 260))
    per = int(rng.choice([1, 1, 2, 3]))
    straddle = bool(rng.integers(0, 2))
    patient = np.arange(n) // per
    y = rng.choice(classes, n, p=[0.75, 0.25] if classes == 2 and rng.random() < 0.5 else np.ones(classes) / classes)
    who = np.arange(n) if straddle else patient
    sex = rng.integers(0, 2, n)[who]
    age = np.round(rng.normal(60, 12, n)[who], 1)
    site = rng.choice(list("ABCDE"), n, p=[.4, .3, .2, .06, .04])[who]
    shared = rng.normal(size=(n, classes))[patient]
    skill = rng.choice([0, 0.8, 3])
    runs = []
    for k in range(2):
        z = 0.7 * rng.normal(size=(n, classes)) + 0.7 * shared
        z[np.arange(n), y] += skill * np.where(sex == 0, 1.2, 0.8) + 0.3 * k
        z = np.round(z, 1) if rng.random() < 0.5 else z  # ties
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        runs.append((z, p))
    return dict(n=n, classes=classes, patient=np.array([f"p{i}" for i in patient]), y=y, sex=np.array(["f", "m"])[sex], age=age, site=site, runs=runs,
                clustered=per > 1)


def write(c, out):
    names = [f"k{i}" for i in range(c["classes"])]
    ids = [f"c{i:03d}" for i in range(c["n"])]
    for k, (z, p) in enumerate(c["runs"]):
        d = out / "ab"[k]
        d.mkdir(parents=True, exist_ok=True)
        cases = [dict(case=ids[i], warnings=[], labels=[{"name": "L", "class": int(np.argmax(p[i])), "value": names[int(np.argmax(p[i]))],
                 "probabilities": list(p[i]), "logits": list(z[i])}]) for i in range(c["n"])]
        (d / "predictions.json").write_text(json.dumps(dict(task="Task001_X", model="m", folds=["0"], checkpoint="x", mirroring=True, precision="float32",
            classification_labels=[dict(name="L", ordinal=False, values=names)], cases=cases, failed=[], unused=[])))
    with open(out / "truth.csv", "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["case", "patient", "L"])
        w.writerows(zip(ids, c["patient"], [names[v] for v in c["y"]]))
    with open(out / "covariates.csv", "w", newline="") as f:
        w = csv.writer(f, delimiter=";")
        w.writerow(["case", "age", "sex", "site"])
        w.writerows((i, str(a).replace(".", ","), s, t) for i, a, s, t in zip(ids, c["age"], c["sex"], c["site"]))


# ---- statistics

def repeated(patients):
    return max(Counter(patients).values(), default=1) > 1


def parts(truth, s):
    d = s[truth][:, None] - s[~truth][None, :]
    psi = (d > 0) + 0.5 * (d == 0)
    return psi.mean(), psi.mean(1), psi.mean(0)


def influences(truth, s):
    auc, v10, v01 = parts(truth, s)
    out = np.empty(len(truth))
    out[truth], out[~truth] = (v10 - auc) / truth.sum(), (v01 - auc) / (~truth).sum()
    return out


def obuchowski(truth, x, y, patients):
    """Covariance of two areas (or the variance of one: x is y), DeLong's where no patient has several cases."""
    m, n = truth.sum(), (~truth).sum()
    (a, x10, x01), (b, y10, y01) = parts(truth, x), parts(truth, y)
    if not repeated(patients):
        return (np.cov(x10, y10)[0, 1] / m if m > 1 else math.nan) + (np.cov(x01, y01)[0, 1] / n if n > 1 else math.nan)
    P, N = patients[truth], patients[~truth]
    def sums(v, who, mean):
        out = defaultdict(float)
        for value, p in zip(v, who):
            out[p] += value - mean
        return out
    xp, xn, yp, yn = sums(x10, P, a), sums(x01, N, a), sums(y10, P, b), sums(y01, N, b)
    i10, i01, i = len(set(P)), len(set(N)), len(set(patients))
    if i10 < 2 or i01 < 2:
        return math.nan
    s10 = i10 / (i10 - 1) * sum(xp[k] * yp[k] for k in xp) / m ** 2
    s01 = i01 / (i01 - 1) * sum(xn[k] * yn[k] for k in xn) / n ** 2
    both = set(xp) & set(xn)
    s11 = i / (i - 1) * (sum(xp[k] * yn[k] for k in both) + sum(yp[k] * xn[k] for k in both)) / (m * n)
    return s10 + s01 + s11


def newcombe(auc, m, n):
    extra = (m + n) / 2 - 1
    def outside(t):
        v = t * (1 - t) * (1 + extra * ((1 - t) / (2 - t) + t / (1 + t))) / (m * n)
        return abs(auc - t) - Z * math.sqrt(v)
    def bound(end):
        if auc == end:
            return end
        a, b = auc, end
        for _ in range(200):
            mid = (a + b) / 2
            a, b = (mid, b) if outside(mid) <= 0 else (a, mid)
        return (a + b) / 2
    return bound(0), bound(1)


def area(truth, s, patients):
    auc = parts(truth, s)[0]
    v = obuchowski(truth, s, s, patients)
    if not v > 1e-15:
        m, n = truth.sum(), (~truth).sum()
        if repeated(patients):
            m, n = len(set(patients[truth])), len(set(patients[~truth]))
        low, high = newcombe(auc, m, n)
        reach = auc - low if auc >= 0.5 else high - auc
        return auc, low, high, (reach / Z) ** 2
    h = Z * math.sqrt(v)
    return auc, max(0, auc - h), min(1, auc + h), v


def share(hits, patients):
    n, p = len(hits), hits.mean()
    effective = n
    if repeated(patients):
        ids = sorted(set(patients))
        k = len(ids)
        effective = k
        if k > 1 and 0 < hits.sum() < n:
            d = np.array([(hits[patients == i] - p).sum() for i in ids])
            effective = n / max(1, k / (k - 1) * (d ** 2).sum() / n ** 2 / (p * (1 - p) / n))
    low, high = proportion_confint(p * effective, effective, method="wilson")
    return p, max(0, low), min(1, high)


def mover(a, b, r=0.0):
    d = a[0] - b[0]
    def reach(x, y):
        return math.sqrt(max(0, x * x + y * y - 2 * r * x * y))
    return d, max(-1, d - reach(a[0] - a[1], b[2] - b[0])), min(1, d + reach(a[2] - a[0], b[0] - b[1]))


def between(infl, group, patients, g, h):
    sums = defaultdict(lambda: [0.0, 0.0])
    for v, k, p in zip(infl, group, patients):
        if k in (g, h):
            sums[p][0 if k == g else 1] += v
    n = len(sums)
    return sum(a * b for a, b in sums.values()) * n / (n - 1)


def wald(theta, cov):
    k = len(theta)
    C = np.hstack([np.eye(k - 1), -np.ones((k - 1, 1))])
    d = C @ theta
    q = d @ np.linalg.solve(C @ cov @ C.T, d)
    return stats.chi2.sf(q, k - 1)


def choose(n, k):
    return math.comb(n, k)


def freeman_halton(hits, totals):
    h, N = sum(hits), sum(totals)
    def ways(t):
        return math.prod(choose(n, x) for n, x in zip(totals, t))
    seen, total = ways(hits), 0
    table = [[choose(n, x) for x in range(min(n, h) + 1)] for n in totals]
    def visit(g, left, w):
        nonlocal total
        if g == len(totals) - 1:
            if left < len(table[g]) and (w := w * table[g][left]) <= seen * (1 + 1e-7):
                total += w
            return
        for x in range(min(left + 1, len(table[g]))):
            visit(g + 1, left - x, w * table[g][x])
    visit(0, h, 1)
    return total / choose(N, h)


def proportions(hits, totals):
    h, N = sum(hits), sum(totals)
    if h in (0, N):
        return 1.0
    table = np.array([hits, np.array(totals) - hits])
    smallest = stats.contingency.expected_freq(table).min()
    if smallest >= 5 - 1e-12:
        return stats.chi2_contingency(table, correction=False).pvalue
    if len(hits) == 2:
        return stats.fisher_exact(table).pvalue
    if 2 * h > N:
        hits, h = np.array(totals) - hits, N - h
    if choose(h + len(hits) - 1, len(hits) - 1) > 2_000_000:
        return stats.chi2_contingency(table, correction=False).pvalue
    return freeman_halton([int(v) for v in hits], [int(v) for v in totals])


def score_test(hits, group, patients, k):
    p = hits.mean()
    if p in (0, 1):
        return 1.0
    n = np.array([(group == g).sum() for g in range(k)])
    U = []
    for i in sorted(set(patients)):
        r = np.array([(hits - p)[(patients == i) & (group == g)].sum() for g in range(k)])
        U.append(r - n / n.sum() * r.sum())
    U = np.array(U)[:, :-1]
    s = U.sum(0)
    return stats.chi2.sf(s @ np.linalg.solve(U.T @ U, s), k - 1)


def sign_flips(a, b, patients):
    d = a.astype(int) - b.astype(int)
    if not repeated(patients):
        n, k = int((d != 0).sum()), int((d > 0).sum())
        return stats.binomtest(k, n, 0.5).pvalue if n else 1.0
    sums = [abs(int(d[patients == i].sum())) for i in set(patients)]
    dist = {0: 1}
    for s in [s for s in sums if s]:
        new = defaultdict(int)
        for v, c in dist.items():
            new[v + s] += c
            new[v - s] += c
        dist = new
    total = sum(dist.values())
    return sum(c for v, c in dist.items() if abs(v) >= abs(int(d.sum()))) / total


def correlation(a, b, patients):
    ids = sorted(set(patients))
    x = np.array([(a - a.mean())[patients == i].sum() for i in ids])
    y = np.array([(b - b.mean())[patients == i].sum() for i in ids])
    if (x @ x) < 1e-12 or (y @ y) < 1e-12:
        return 0.0
    return float(np.clip(x @ y / math.sqrt((x @ x) * (y @ y)), -1, 1))


def ece(y, p):
    b = np.clip((p * 10).astype(int), 0, 9)
    return sum(abs(p[b == k].sum() - y[b == k].sum()) for k in range(10)) / len(y)


# ---- comparison

class Check:
    def __init__(self):
        self.numbers, self.worst, self.failed, self.skipped = 0, 0.0, [], 0
        self.bounds = 0

    def same(self, what, got, want):
        if want is None:
            self.skipped += 1
            return
        self.numbers += 1
        got = math.nan if got is None else got
        if math.isnan(got) and math.isnan(want):
            return
        d = abs(got - want)
        self.worst = max(self.worst, d) if not math.isnan(d) else math.inf
        if not d <= LIMIT:
            self.failed.append(f"{what}: {got}, expected {want}")

    def estimate(self, what, e, want):
        for key, v in zip(("value", "low", "high"), want):
            self.same(f"{what} {key}", e[key], v)

    def interval(self, what, e, samples):
        """Bounds between the quantiles of the samples that lie five standard errors of a rank around those asked for: both sides draw."""
        samples = samples[~np.isnan(samples)]
        if len(samples) < 100 or e["low"] is None:
            return
        for key, q in (("low", 0.025), ("high", 0.975)):
            off = 5 * math.sqrt(q * (1 - q) * (1 / 1000 + 1 / len(samples)))
            least, most = np.quantile(samples, max(0, q - off)), np.quantile(samples, min(1, q + off))
            self.bounds += 1
            if not least - 1e-9 <= e[key] <= most + 1e-9:
                self.failed.append(f"{what} {key}: {e[key]}, own bootstrap {least} to {most}")


def own_bootstrap(patients, measure, rng, draws=1000):
    ids, members = np.unique(patients), defaultdict(list)
    for i, p in enumerate(patients):
        members[p].append(i)
    out = []
    for _ in range(draws):
        at = np.concatenate([members[p] for p in rng.choice(ids, len(ids))])
        out.append(measure(at))
    return np.array(out, dtype=float)


def quiet_ba(y, p):
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return balanced_accuracy_score(y, p)


def check_subgroups(check, c, report, seed, boot):
    y, (z, p), patients = c["y"], c["runs"][0], c["patient"]
    pred = p.argmax(1)
    label = report["labels"][0]
    classes = [1] if c["classes"] == 2 else list(range(c["classes"]))
    cuts = [50.0, 70.0]
    groups_of = {"age": np.array([["< 50", "50 to < 70", ">= 70"][np.searchsorted(cuts, a, side="right")] for a in c["age"]]), "sex": c["sex"]}
    counts = Counter(c["site"])
    few = [s for s in counts if counts[s] < FEW]
    groups_of["site"] = np.array(["other" if s in few and len(few) > 1 else s for s in c["site"]])
    ps, holm = [], []
    rng = np.random.default_rng(seed)
    for g in label["subgroups"]:
        of = groups_of[g["name"]]
        if set(of) != {s["name"] for s in g["groups"] if s["cases"]}:
            check.failed.append(f"{g['name']}: groups {[s['name'] for s in g['groups']]}, expected {sorted(set(of))}")
            continue
        names = []
        for s in g["groups"]:
            at = of == s["name"]
            if s["cases"] != at.sum():
                check.failed.append(f"{g['name']} {s['name']}: {s['cases']} cases, expected {at.sum()}")
            if at.sum() < FEW:
                if "too_few" not in s:
                    check.failed.append(f"{g['name']} {s['name']}: measured on {at.sum()} cases")
                continue
            names.append(s["name"])
            who, what = patients[at], f"{g['name']} {s['name']}"
            check.estimate(what + " accuracy", s["accuracy"], share(pred[at] == y[at], who))
            if min(np.bincount(y[at], minlength=c["classes"])) >= SIDE:
                check.same(what + " balanced accuracy", s["balanced_accuracy"]["value"], balanced_accuracy_score(y[at], pred[at]))
            for v in s["values"]:
                k = v["value"]
                t, sc, hit = y[at] == k, p[at][:, k], (y[at] == k) == (pred[at] == k)
                check.estimate(what + " accuracy of class", v["accuracy"], share(hit, who))
                check.same(what + " Brier", v["brier"]["value"], brier_score_loss(t, sc))
                check.same(what + " ECE", v["ece"]["value"], ece(t, sc))
                if t.sum() >= SIDE:
                    check.estimate(what + " sensitivity", v["sensitivity"], share(hit[t], who[t]))
                if (~t).sum() >= SIDE:
                    check.estimate(what + " specificity", v["specificity"], share(hit[~t], who[~t]))
                if min(t.sum(), (~t).sum()) >= SIDE:
                    check.estimate(what + " AUC", v["auc"], area(t, sc, who)[:3])
                    check.same(what + " AP", v["average_precision"]["value"], average_precision_score(t, sc))
                    check.same(what + " BA", v["balanced_accuracy"]["value"], balanced_accuracy_score(t, pred[at] == k))
                    if boot:
                        check.interval(what + " AP", v["average_precision"], own_bootstrap(who, lambda i: average_precision_score(t[i], sc[i]) if t[i].any() else math.nan, rng))
                        check.interval(what + " BA", v["balanced_accuracy"], own_bootstrap(who, lambda i: quiet_ba(t[i], (pred[at] == k)[i]), rng))
                        check.interval(what + " Brier", v["brier"], own_bootstrap(who, lambda i: ((t[i] - sc[i]) ** 2).mean(), rng))
        for test in g.get("tests", []):
            k = {f"k{i}": i for i in range(c["classes"])}.get(test.get("class"))
            what = f"{g['name']} test {test['measure']} {test.get('class', '')}"
            used, hits, group, who, shares, theta, var, infl = [], [], [], [], [], [], [], []
            for name in names:
                at = of == name
                t = y[at] == k
                if test["measure"] == "AUC":
                    if min(t.sum(), (~t).sum()) < SIDE:
                        continue
                    a = area(t, p[at][:, k], patients[at])
                    theta.append(a[0]), var.append(a[3]), shares.append(a[:3])
                    infl.extend(influences(t, p[at][:, k]))
                    rows = np.ones(at.sum(), bool)
                else:
                    ok = pred[at] == y[at] if k is None else t == (pred[at] == k)
                    rows = {"accuracy": np.ones(at.sum(), bool), "sensitivity": t, "specificity": ~t}[test["measure"]]
                    if rows.sum() < SIDE:
                        continue
                    hits.extend(ok[rows])
                    shares.append(share(ok[rows], patients[at][rows]))
                group.extend([len(used)] * rows.sum())
                who.extend(patients[at][rows])
                used.append(name)
            if used != test["groups"]:
                check.failed.append(f"{what}: groups {test['groups']}, expected {used}")
                continue
            group, who, hits = np.array(group), np.array(who), np.array(hits)
            shared = any(len(set(group[who == i])) > 1 for i in set(who))
            r = 0.0
            if test["measure"] == "AUC":
                cov = np.diag(var)
                if shared:
                    for a, b in itertools.combinations(range(len(used)), 2):
                        cov[a, b] = cov[b, a] = between(infl, group, who, a, b)
                want = wald(np.array(theta), cov)
                if len(used) == 2:
                    r = cov[0, 1] / math.sqrt(cov[0, 0] * cov[1, 1])
            elif repeated(who):
                want = score_test(hits, group, who, len(used))
                if shared and len(used) == 2:
                    infl = np.empty(len(hits))
                    for a in (0, 1):
                        m = group == a
                        infl[m] = (hits[m] - hits[m].mean()) / m.sum()
                    v = [sum(infl[(group == a) & (who == i)].sum() ** 2 for i in set(who)) for a in (0, 1)]
                    r = 0.0 if min(v) == 0 else np.clip(between(infl, group, who, 0, 1) / math.sqrt(v[0] * v[1]), -1, 1)
            else:
                want = proportions([hits[group == a].sum() for a in range(len(used))], [(group == a).sum() for a in range(len(used))])
            check.same(what + " p", test["p"], want)
            if len(used) == 2:
                check.estimate(what + " difference", test["difference"], mover(shares[0], shares[1], r))
            ps.append(test["p"]), holm.append(test["p_holm"])
    if ps:
        for got, want in zip(holm, multipletests(ps, method="holm")[1]):
            check.same("Holm", got, want)


def check_compare(check, c, report, seed, boot):
    y, patients = c["y"], c["patient"]
    families = defaultdict(list)
    rng = np.random.default_rng(seed)
    p = [run[1] for run in c["runs"]]
    pred = [q.argmax(1) for q in p]
    for m in report["labels"][0]["measures"]:
        families[m["measure"]].append((m["p"], m["p_holm"]))
        k = {f"k{i}": i for i in range(c["classes"])}.get(m.get("class"))
        t, what = y == k, f"compare {m['measure']} {m.get('class', '')}"
        sides = [m["first"], m["second"]]
        if m["measure"] == "AUC":
            x = [q[:, k] for q in p]
            for s, e in zip(x, sides):
                check.estimate(what, e, area(t, s, patients)[:3])
            d = parts(t, x[0])[0] - parts(t, x[1])[0]
            v = obuchowski(t, x[0], x[0], patients) + obuchowski(t, x[1], x[1], patients) - 2 * obuchowski(t, x[0], x[1], patients)
            if v > 1e-12:
                h = Z * math.sqrt(v)
                check.estimate(what + " difference", m["first_minus_second"], (d, max(-1, d - h), min(1, d + h)))
                check.same(what + " p", m["p"], 2 * stats.norm.sf(abs(d) / math.sqrt(v)))
        elif m["measure"] in ("accuracy", "sensitivity", "specificity"):
            ok = [q == y if k is None else t == (q == k) for q in pred]
            rows = {"accuracy": np.ones(len(y), bool), "sensitivity": t, "specificity": ~t}[m["measure"]]
            who, ok = patients[rows], [o[rows] for o in ok]
            est = [share(o, who) for o in ok]
            for e, s in zip(est, sides):
                check.estimate(what, s, e)
            check.same(what + " p", m["p"], sign_flips(ok[0], ok[1], who))
            check.estimate(what + " difference", m["first_minus_second"], mover(est[0], est[1], correlation(ok[0].astype(float), ok[1].astype(float), who)))
        else:
            def value(side, i):
                if m["measure"] == "balanced accuracy":
                    return quiet_ba(y[i], pred[side][i])
                if m["measure"] == "mean AUC":
                    return np.mean([parts(y[i] == j, p[side][i, j])[0] if 0 < (y[i] == j).sum() < len(i) else math.nan for j in range(c["classes"])])
                return {"average precision": lambda a, b: average_precision_score(a, b) if a.any() else math.nan,
                        "Brier score": lambda a, b: ((a - b) ** 2).mean(), "expected calibration error": ece}[m["measure"]](t[i], p[side][i, k])
            everyone = np.arange(len(y))
            values = [value(side, everyone) for side in (0, 1)]
            for e, v in zip(sides, values):
                check.same(what, e["value"], v)
            check.same(what + " difference", m["first_minus_second"]["value"], values[0] - values[1])
            if boot and m["measure"] != "mean AUC":
                draws = own_bootstrap(patients, lambda i: value(0, i) - value(1, i), rng)
                check.interval(what + " difference", m["first_minus_second"], draws)
                draws = np.round(draws[~np.isnan(draws)], 12)  # sums in another order: a tie is one to the last digit only
                own = min(1, 2 * (1 + min((draws <= 0).sum(), (draws >= 0).sum())) / (len(draws) + 1))
                if abs(own - m["p"]) > 0.02 + 6 * math.sqrt(own / 2 * (1 - own / 2) / 1000) * 2:
                    check.failed.append(f"{what} p: {m['p']}, own bootstrap {own}")
    for name, family in families.items():
        family = [f for f in family if f[0] is not None]
        for (_, got), want in zip(family, multipletests([f[0] for f in family], method="holm")[1] if family else []):
            check.same(name + " Holm", got, want)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--uc", required=True)
    a.add_argument("--cohorts", type=int, default=40)
    a.add_argument("--bootstrap", type=int, default=4, help="of how many cohorts the intervals of the bootstrap are compared")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("dir")
    a = a.parse_args()
    check = Check()
    for seed in range(a.seed, a.seed + a.cohorts):
        c = cohort(seed)
        out = Path(a.dir) / f"cohort_{seed}"
        write(c, out)
        def uc(*args):
            done = subprocess.run([a.uc, *map(str, args), "--json"], capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"cohort {seed}: {args}: {done.stderr}")
            return json.loads(done.stdout)
        before, failed = check.numbers, len(check.failed)
        boot = seed < a.seed + a.bootstrap
        check_subgroups(check, c, uc("evaluate", "--predictions", out / "a", "--truth", out / "truth.csv", "--covariates", out / "covariates.csv",
                                     "--groups", "age:50,70", "-o", out / "evaluation"), seed, boot)
        check_compare(check, c, uc("compare", out / "a", out / "b", "--truth", out / "truth.csv", "-o", out / "comparison"), seed, boot)
        print(f"cohort {seed}: {c['n']} cases, {c['classes']} classes, {len(set(c['patient']))} patients: {check.numbers - before} numbers, {len(check.failed) - failed} differ", flush=True)
        for f in check.failed[failed:failed + 10]:
            print("   " + f)
    print(f"{check.numbers} numbers, largest difference {check.worst:.2g}, {check.skipped} skipped (too long to count out), {len(check.failed)} differ")
    if check.bounds:
        print(f"{check.bounds} bounds of bootstrap intervals agree with an own bootstrap, but for what is named above")
    sys.exit(1 if check.failed else 0)


if __name__ == "__main__":
    main()
