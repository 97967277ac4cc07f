"""
A grid search on the diabetes data
==================================

The data are ten measurements of 442 patients and the progression of their diabetes after one year: few rows, much
noise. How large a network do they support? :class:`~sklearn.model_selection.GridSearchCV` selects the number of hidden
units and the groups of the penalty. The result is compared with the default, which needs no search, and with searches
for :class:`~sklearn.neural_network.MLPRegressor` and :class:`~sklearn.linear_model.Ridge`.

The first fit on a machine takes about half a minute, because it compiles the numerical kernels.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_lm import LMRegressor

X, y = load_diabetes(return_X_y=True)

# %%
# Searches
# --------
# LMRegressor scales inputs and targets and estimates the penalty itself, so that the grid has no alpha. MLPRegressor
# needs a scaler for the inputs, another for the targets, and a search for alpha; so does Ridge.

sizes = [(), (2,), (4,), (10,)]
groups = ["input", "layer"]
alphas = [1.0, 10.0, 100.0]

lm = LMRegressor(random_state=0)
mlp = MLPRegressor(activation="tanh", solver="lbfgs", max_iter=20000, max_fun=100000, random_state=0)
scaled_mlp = make_pipeline(StandardScaler(), TransformedTargetRegressor(mlp, transformer=StandardScaler()))
mlp_grid = {
    "transformedtargetregressor__regressor__hidden_layer_sizes": [(2,), (4,)],
    "transformedtargetregressor__regressor__alpha": alphas,
}
regressors: dict[str, BaseEstimator] = {
    "LMRegressor, default": lm,
    "LMRegressor, search": GridSearchCV(lm, {"hidden_layer_sizes": sizes, "penalty_groups": groups}),
    "MLPRegressor, search": GridSearchCV(scaled_mlp, mlp_grid),
    "Ridge, search": GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [0.1, *alphas, 1000.0]}),
}

# %%
# Results
# -------
# The best score of a search is that of the luckiest candidate. So each search is repeated on four fifths of the rows
# and scored on the last fifth, five times. The standard error is that of the mean of the five scores.

folds = KFold(5, shuffle=True, random_state=0)
scores = {name: cross_val_score(regressor, X, y, cv=folds) for name, regressor in regressors.items()}


def standard_error(values):
    """Return the standard error of the mean of the last axis."""
    return np.std(values, axis=-1, ddof=1) / np.sqrt(np.shape(values)[-1])


print(f"{len(y)} rows, five outer folds\n")
print(f"{'':<22}{'candidates':>10}{'R2':>8}{'std. error':>12}{'minus Ridge':>13}{'std. error':>12}")
for name, regressor in regressors.items():
    n_candidates = 1
    if isinstance(regressor, GridSearchCV):
        n_candidates = int(np.prod([len(values) for values in regressor.param_grid.values()]))
    difference = scores[name] - scores["Ridge, search"]
    print(
        f"{name:<22}{n_candidates:>10}{scores[name].mean():>8.3f}{standard_error(scores[name]):>12.3f}"
        f"{difference.mean():>13.3f}{standard_error(difference):>12.3f}"
    )

search = regressors["LMRegressor, search"]
assert isinstance(search, GridSearchCV)
search.fit(X, y)
print("\nselected on all rows:", ", ".join(f"{key}={value!r}" for key, value in search.best_params_.items()))

# %%
# The scores of the candidates, and the predictions of the default
# ----------------------------------------------------------------
# Each row is predicted by a model that was fitted without it.

prediction = cross_val_predict(lm, X, y, cv=folds)
inner = np.column_stack([search.cv_results_[f"split{k}_test_score"] for k in range(search.n_splits_)])

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), width_ratios=[1.3, 1], layout="constrained")
# Okabe and Ito's palette, which can be distinguished with any kind of colour vision.
looks = {
    "input": ("#0072B2", "o", "one penalty for each input"),
    "layer": ("#D55E00", "^", "one penalty for the layer"),
}
for shift, group in zip((-0.06, 0.06), groups, strict=True):
    color, marker, label = looks[group]
    rows = [i for i, row in enumerate(search.cv_results_["params"]) if row["penalty_groups"] == group]
    left.errorbar(
        np.arange(len(sizes)) + shift,
        inner[rows].mean(axis=1),
        yerr=standard_error(inner[rows]),
        color=color,
        marker=marker,
        linestyle="none",
        markersize=8,
        capsize=4,
        label=label,
    )
left.set(
    title="LMRegressor, five-fold cross-validation",
    xlabel="hidden units",
    ylabel="R$^2$, mean ± standard error",
    xticks=range(len(sizes)),
    xticklabels=["none", "2", "4", "10"],
    ylim=(0.4, 0.52),  # with room for the legend
)
left.grid(axis="y", color="0.9")
left.set_axisbelow(True)
left.legend(loc="lower center", edgecolor="none", framealpha=1)

ends = (0, 360)
right.plot(ends, ends, color="black", linewidth=1, linestyle="--", label="predicted = measured")
right.plot(y, prediction, "o", color="#0072B2", alpha=0.5, markeredgewidth=0, label=f"{len(y)} rows, left out")
right.set(
    title=f"LMRegressor, default: R$^2$ = {scores['LMRegressor, default'].mean():.2f}",
    xlabel="measured disease progression after one year (score)",
    ylabel="predicted disease progression (score)",
    xlim=ends,
    ylim=ends,
    xticks=range(0, 351, 50),
    yticks=range(0, 351, 50),
    aspect="equal",
)
right.grid(color="0.9")
right.set_axisbelow(True)
right.legend(loc="upper left", edgecolor="none", framealpha=1)

picture = Path("plot_diabetes_grid_search.png").resolve()
figure.savefig(picture, dpi=150)
print(f"\npicture saved as {picture}")

# %%
# Conclusion
# ----------
# All scores agree within one standard error: with so few rows and so much noise, networks cannot be distinguished from
# Ridge. LMRegressor's default is as good as Ridge without a search (it finds that a linear network explains the data),
# and its own search, which cannot gain anything here, costs a little.
