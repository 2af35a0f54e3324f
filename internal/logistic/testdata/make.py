"""Writes sklearn.json: what scikit-learn's logistic regression makes of a few small cohorts. Needs numpy and scikit-learn."""
import json
import os

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(7)
cohorts = []
for classes, n, features, shift in [(2, 40, 1, 1.0), (2, 60, 4, 0.3), (2, 30, 2, 50.0), (3, 50, 2, 1.5), (5, 120, 6, 0.7)]:
    y = rng.integers(0, classes, n)
    x = np.round(rng.normal(size=(n, features)) * 10 ** rng.integers(-1, 4, features) + shift * y[:, None] + 5, 4)
    new = np.round(x[:4] + rng.normal(size=(4, features)), 4)
    scaler = StandardScaler().fit(x)
    model = LogisticRegression(C=1.0, tol=1e-12, max_iter=100000, solver="newton-cg").fit(scaler.transform(x), y)
    cohorts.append({"classes": classes, "x": x.tolist(), "y": y.tolist(), "new": new.tolist(), "probabilities": model.predict_proba(scaler.transform(new)).tolist()})
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "sklearn.json"), "w") as f:
    json.dump(cohorts, f)
    f.write("\n")
