"""
A grid search on the diabetes data
==================================

The data are ten measurements of 442 patients and the progression of their diabetes after one year: few rows, much
noise. How large a network do they support? :class:`~sklearn.model_selection.GridSearchCV` selects the size of the
network, its penalty and the damping rule. The result is compared with those of
:class:`~sklearn.neural_network.MLPRegressor` and :class:`~sklearn.linear_model.Ridge`.

The first fit on a machine takes about half a minute, because it compiles the numerical kernels.
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

X, y = load_diabetes(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# Three searches over one split
# -----------------------------
# With ``scaling="standard"`` LMRegressor standardises the targets; MLPRegressor needs TransformedTargetRegressor for
# that. Both then minimise the same function, and alpha has the same meaning in both and in Ridge. A network without a
# hidden layer is Ridge.
#
# ``alpha > 0`` and a generous ``max_iter`` let every fit converge.

sizes = [(), (2,), (4,)]
alphas = [0.01, 0.1, 1.0, 10.0, 100.0]

lm = LMRegressor(scaling="standard", max_iter=5000, random_state=0)
mlp = TransformedTargetRegressor(
    MLPRegressor(activation="tanh", solver="lbfgs", max_iter=20000, max_fun=100000, random_state=0),
    transformer=StandardScaler(),
)
regressors = {"LMRegressor": lm, "MLPRegressor": mlp, "Ridge": Ridge()}
grids: dict[str, dict[str, list]] = {
    "LMRegressor": {"hidden_layer_sizes": sizes, "alpha": alphas, "damping": ["nielsen", "marquardt"]},
    "MLPRegressor": {"regressor__hidden_layer_sizes": sizes, "regressor__alpha": alphas},
    "Ridge": {"alpha": alphas},
}

searches = {}
for name, regressor in regressors.items():
    pipeline = Pipeline([("scale", StandardScaler()), ("model", regressor)])
    search = GridSearchCV(pipeline, {f"model__{key}": values for key, values in grids[name].items()}, cv=5)
    searches[name] = search.fit(X_train, y_train)

# %%
# Results
# -------
# The standard error is that of the mean over the five folds.


def standard_error(search):
    """Return the standard error of the mean score, for each candidate of a search."""
    return search.cv_results_["std_test_score"] / np.sqrt(search.n_splits_ - 1)


print("best parameters")
for name, search in searches.items():
    best = {key.split("__")[-1]: value for key, value in sorted(search.best_params_.items())}
    print(f"  {name:<14}" + ", ".join(f"{key}={value!r}" for key, value in best.items()))

print(f"\n{len(y_train)} training rows, {len(y_test)} test rows; RMSE in units of the disease progression score\n")
print(f"{'':<14}{'candidates':>11}{'CV R2':>9}{'std. error':>12}{'test R2':>9}{'test RMSE':>11}")
for name, search in searches.items():
    prediction = search.predict(X_test)
    print(
        f"{name:<14}{len(search.cv_results_['params']):>11}{search.best_score_:>9.3f}"
        f"{standard_error(search)[search.best_index_]:>12.3f}{r2_score(y_test, prediction):>9.3f}"
        f"{root_mean_squared_error(y_test, prediction):>11.1f}"
    )

# %%
# The scores and the selected network
# -----------------------------------
# The left panel shows, for each size and alpha, the better of the two damping rules. The points are shifted a little so
# that their error bars do not overlap; alpha is the same.

search = searches["LMRegressor"]
results = search.cv_results_
score, error = results["mean_test_score"], standard_error(search)

# Okabe and Ito's palette, which can be distinguished with any kind of colour vision.
looks = {
    (): ("#000000", "s", "--", "no hidden layer"),
    (2,): ("#0072B2", "o", "-", "2 hidden units"),
    (4,): ("#D55E00", "^", "-.", "4 hidden units"),
}

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), width_ratios=[1.3, 1], layout="constrained")

for shift, size in zip((0.85, 1.0, 1 / 0.85), sizes, strict=True):
    color, marker, line, label = looks[size]
    rows = []
    for alpha in alphas:
        wanted = {"model__hidden_layer_sizes": size, "model__alpha": alpha}
        both = [i for i, params in enumerate(results["params"]) if wanted.items() <= params.items()]
        rows.append(max(both, key=lambda i: score[i]))
    left.errorbar(
        shift * np.array(alphas),
        score[rows],
        yerr=error[rows],
        color=color,
        marker=marker,
        linestyle=line,
        linewidth=1.8,
        capsize=3,
        label=label,
    )
left.plot(
    search.best_params_["model__alpha"],
    search.best_score_,
    "o",
    color="#009E73",
    markersize=15,
    fillstyle="none",
    markeredgewidth=2,
    label="selected",
)
left.set(
    title="LMRegressor, five-fold cross-validation",
    xlabel="alpha (L2 penalty)",
    ylabel="R$^2$, mean ± standard error",
    xscale="log",
)
left.grid(color="0.9")
left.set_axisbelow(True)
handles, labels = left.get_legend_handles_labels()
left.legend(handles[1:] + handles[:1], labels[1:] + labels[:1], loc="lower center", edgecolor="none", framealpha=1)

prediction = search.predict(X_test)
ends = (0, 360)
right.plot(ends, ends, color="black", linewidth=1, linestyle="--", label="predicted = measured")
right.plot(y_test, prediction, "o", color="#0072B2", alpha=0.6, markeredgewidth=0, label=f"{len(y_test)} test rows")
right.set(
    title=f"Selected network, test R$^2$ = {r2_score(y_test, prediction):.2f}",
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
# The cross-validated scores of the three differ by little more than one standard error: with 331 rows and so much
# noise, this search can hardly distinguish the networks from Ridge. On the test rows the LM network, selected with the
# weaker penalty, is the worst of the three; MLPRegressor and Ridge are equal. The best of many candidates with similar
# scores owes part of its lead to chance. The table gives no reason to prefer a network to Ridge on these data.
