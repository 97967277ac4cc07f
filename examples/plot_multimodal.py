"""
A multimodal curve, fitted to 1e-10
===================================

The function :math:`y = -x \\sin(10 x)` has several maxima and minima between 0 and 1. A network with three hidden
layers of 20, 20 and 10 tanh units is fitted to 70 % of 1000 points. A validation set of 20 % selects the weights: those
with the smallest validation error are kept. A test set of 10 % takes no part in the fit.

The data are free of noise, so training and validation error fall as long as the fit continues. ``goal=1e-10`` ends it
at a root mean square error of 0.00001. For a network of this size ``n_starts="auto"`` is a single start.

The first fit on a machine takes about half a minute, because it compiles the numerical kernels.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sklearn_lm import (
    ErrorHistogramDisplay,
    FitDisplay,
    LMRegressor,
    RegressionDisplay,
    TrainingCurveDisplay,
    TrainingStateDisplay,
)

# %%
# The data, and a network of 681 parameters
# -----------------------------------------

x = np.linspace(0.001, 1.0, 1000)
y = -x * np.sin(10 * x)
X = x.reshape(-1, 1)

model = LMRegressor(
    hidden_layer_sizes=(20, 20, 10),
    activation="tanh",
    alpha=0.0,
    goal=1e-10,
    max_iter=500,
    early_stopping=True,
    validation_fraction=0.2,
    test_fraction=0.1,
    random_state=0,
)
model.fit(X, y)

# %%
# Results
# -------
# ``history_`` has one entry for the start and one for each iteration; ``split_indices_`` has the rows of each set.

history = model.history_
rows = model.split_indices_
best = model.best_iter_
sets = ("train", "validation", "test")
activations = (*model.hidden_activations_, model.out_activation_)

print(f"{'layer':<8}{'units':>6}{'activation':>12}{'weights':>10}{'biases':>8}{'parameters':>12}")
for layer, (W, b, activation) in enumerate(zip(model.coefs_, model.intercepts_, activations, strict=True), start=1):
    shape = f"{W.shape[0]} x {W.shape[1]}"
    print(f"{layer:<8}{len(b):>6}{activation:>12}{shape:>10}{len(b):>8}{W.size + b.size:>12}")
total = sum(W.size + b.size for W, b in zip(model.coefs_, model.intercepts_, strict=True))
print(f"{'total':<44}{total:>12}\n")

print(f"stopped because  {model.stop_reason_}")
print(f"iterations       {model.n_iter_}, best {best}")
print(f"seconds          {history['time'][-1]:.1f}\n")

print(f"{'set':<12}{'rows':>6}{'MSE':>12}{'RMSE':>12}")
for name in sets:
    mse = history[f"{name}_mse"][best]
    print(f"{name:<12}{len(rows[name]):>6}{mse:>12.2e}{np.sqrt(mse):>12.2e}")

# %%
# The five displays
# -----------------
# The errors of the three sets fall together, so the network does not overfit. The errors below the fit, and their
# histogram, look alike in the three sets. R is so close to 1 that the titles show 1 - R. Each display takes ``ax``, and
# creates a figure without it.

figure, axes = plt.subplot_mosaic(
    [["fit", "curve", "state"], ["regression", "histogram", "state"]], figsize=(16, 10), layout="constrained"
)
FitDisplay.from_estimator(model, X, y, ax=axes["fit"])
TrainingCurveDisplay.from_estimator(model, ax=axes["curve"])
TrainingStateDisplay.from_estimator(model, ax=axes["state"])
RegressionDisplay.from_estimator(model, X, y, ax=axes["regression"])
ErrorHistogramDisplay.from_estimator(model, X, y, ax=axes["histogram"])

picture = Path("plot_multimodal.png").resolve()
figure.savefig(picture, dpi=150)
print(f"\npicture saved as {picture}")
