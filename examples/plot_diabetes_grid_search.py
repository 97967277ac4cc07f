"""
Tuning a network on the diabetes data
=====================================

The everyday job: 442 patients, ten measurements each, and how far the disease had progressed a year later. A pipeline
of a scaler and a network goes into a grid search over the size of the network, its penalty ``alpha`` and the damping of
Levenberg-Marquardt. Two others are tuned in the same way on the same folds: scikit-learn's ``MLPRegressor``, and
``Ridge``, which is a straight plane. The data are noisy and nearly linear, so do not expect a network to win by much,
or at all.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_lm import LMRegressor

X, y = load_diabetes(return_X_y=True, scaled=False)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0)

# %%
# Three searches
# --------------
# ``LMRegressor`` brings the target to variance 1 by itself. ``MLPRegressor`` does not: inside
# ``TransformedTargetRegressor`` it gets the same kind of target, and its alpha a comparable meaning.

sizes = [(2,), (4,), (8,)]
alphas = [0.3, 1.0, 3.0, 10.0, 30.0]


def search(model, grid):
    """Five-fold search, in two processes, over `grid`, whose names belong to `model`."""
    pipeline = Pipeline([("scaler", StandardScaler()), ("model", model)])
    grid = {f"model__{name}": values for name, values in grid.items()}
    return GridSearchCV(pipeline, grid, cv=5, n_jobs=2).fit(X_train, y_train)


lm = search(
    LMRegressor(max_iter=2000, random_state=0),
    {"hidden_layer_sizes": sizes, "alpha": alphas, "damping": ["nielsen", "marquardt"]},
)
mlp = search(
    TransformedTargetRegressor(
        MLPRegressor(solver="lbfgs", max_iter=5000, random_state=0), transformer=StandardScaler()
    ),
    {"regressor__hidden_layer_sizes": sizes, "regressor__alpha": alphas},
)
ridge = search(Ridge(), {"alpha": np.logspace(-1, 3, 9)})
searches = {"LMRegressor": lm, "MLPRegressor": mlp, "Ridge": ridge}

# %%
# The scores
# ----------
# 111 test rows give an uncertain score. Its standard error is taken from 1000 bootstrap samples of these rows. Look at
# the last lines before you name a winner: they compare two models on the same samples, and a difference of less than
# two standard errors is one that these rows cannot prove.

rng = np.random.default_rng(0)
samples = rng.integers(len(y_test), size=(1000, len(y_test)))
predictions = {name: found.predict(X_test) for name, found in searches.items()}

for name, found in searches.items():
    best = {key.split("__")[-1]: value for key, value in found.best_params_.items()}
    best["alpha"] = f"{best['alpha']:.3g}"
    print(f"{name:<14}" + ", ".join(f"{key} = {value}" for key, value in best.items()))

print(f"\n{'':<14}{'CV R2':>8}{'test R2':>10}{'(s.e.)':>9}{'test RMSE':>11}")
for name, found in searches.items():
    p = predictions[name]
    error = np.std([r2_score(y_test[i], p[i]) for i in samples])
    scores = found.best_score_, r2_score(y_test, p), error, root_mean_squared_error(y_test, p)
    print(f"{name:<14}{scores[0]:>8.3f}{scores[1]:>10.3f}{f'({scores[2]:.3f})':>9}{scores[3]:>11.1f}")

reference = predictions["LMRegressor"]
print("\nTest R2 of LMRegressor, less that of")
for name in ("MLPRegressor", "Ridge"):
    p = predictions[name]
    error = np.std([r2_score(y_test[i], reference[i]) - r2_score(y_test[i], p[i]) for i in samples])
    print(f"{name:<14}{r2_score(y_test, reference) - r2_score(y_test, p):>+8.3f}   (s.e. {error:.3f})")

# %%
# What alpha does, and what the network predicts
# ----------------------------------------------
# Without enough penalty the larger networks learn the noise. With too much all of them are flat.

colors = ["#E69F00", "#0072B2", "#009E73"]  # Okabe and Ito's palette
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")

results = lm.cv_results_
damping = lm.best_params_["model__damping"]
for k, (size, color, marker) in enumerate(zip(sizes, colors, "os^", strict=True)):
    chosen = [
        i
        for i, p in enumerate(results["params"])
        if p["model__hidden_layer_sizes"] == size and p["model__damping"] == damping
    ]
    mean = results["mean_test_score"][chosen]
    error = results["std_test_score"][chosen] / np.sqrt(5 - 1)  # standard error of a mean of five
    # Moved a little to the side, so that no error bar hides another.
    at = np.array(alphas) * 1.06 ** (k - 1)
    left.errorbar(at, mean, error, color=color, marker=marker, capsize=3, label=f"{size[0]} units")
left.axhline(ridge.best_score_, color="0.4", linestyle="--", linewidth=1, label="best Ridge")
left.set(xscale="log", xlabel="alpha", ylabel="cross-validated R$^2$")
left.set_title(f"LMRegressor: mean of five folds, standard error\n(damping = {damping})")
left.set_xticks(alphas, [f"{alpha:g}" for alpha in alphas])
left.minorticks_off()
left.legend(loc="lower right", frameon=False)

limits = (0, 360)
right.plot(limits, limits, color="0.4", linestyle="--", linewidth=1, label="predicted = measured")
right.plot(y_test, reference, "o", color="#0072B2", markersize=5, alpha=0.6, label="111 test rows")
right.set(xlim=limits, ylim=limits, aspect="equal")
right.set(xlabel="measured progression (score)", ylabel="predicted progression (score)")
right.set_title(f"The best of them on the test rows\n(R$^2$ = {r2_score(y_test, reference):.2f})")
right.legend(loc="upper left", frameon=False)

picture = Path("plot_diabetes_grid_search.png").resolve()
figure.savefig(picture, dpi=150)
print(f"\npicture saved as {picture}")
