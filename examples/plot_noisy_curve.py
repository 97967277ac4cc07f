"""
A noisy curve, with error bars
==============================

The data are a hundred noisy points of a damped oscillation, with a gap in the middle. A small penalty keeps the network
from fitting the noise. The Cholesky factor of the last Gram matrix gives the standard deviation of each prediction: the
band is as wide as the noise where there are data, and wider in the gap and beyond the ends.

The band is that of this network, linearised at its weights. Far outside of the data the true curve may be anything, and
left of zero it leaves the band. There ``extrapolation_score`` is well above 1: do not trust such a prediction.

Leave-one-out residuals come from the same factor, without a second fit. They estimate the error on new rows.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sklearn_lm import FitDisplay, LMRegressor

rng = np.random.default_rng(1)
x = np.sort(np.concatenate([rng.uniform(0, 0.4, 50), rng.uniform(0.6, 1, 50)]))
X, y = x.reshape(-1, 1), np.exp(-2 * x) * np.cos(14 * x) + 0.06 * rng.normal(size=100)

model = LMRegressor(6, alpha=1e-2, random_state=0).fit(X, y)
print(model.summary())

print(f"\nnoise: estimated standard deviation {np.sqrt(model.noise_variance_):.3f}, true value 0.060")
print(f"effective parameters: {model.n_effective_parameters_:.1f}")
print(f"R2 {model.score(X, y):.3f}, and {model.loo_score_:.3f} with leave-one-out predictions")

new = np.array([[-0.1], [0.2], [0.5], [0.9], [1.1]])
lower, upper = model.predict_interval(new)
for row in zip(new[:, 0], model.predict(new), lower, upper, model.extrapolation_score(new), strict=True):
    print("x = {:4.1f}: {:6.3f}, 95 % between {:6.3f} and {:6.3f}; extrapolation score {:.2f}".format(*row))

# %%
# The fit and its band
# --------------------

grid = np.linspace(-0.1, 1.1, 400).reshape(-1, 1)
mean, std = model.predict(grid, return_std=True)
display = FitDisplay.from_estimator(model, X, y)
ax = display.figure_.axes[0]
ax.plot(grid, np.exp(-2 * grid) * np.cos(14 * grid), ":", color="#D55E00", label="true curve")
outside = (grid[:, 0] < x.min()) | (grid[:, 0] > x.max())
ax.fill_between(
    grid[:, 0], mean - 2 * std, mean + 2 * std, where=outside, color="#56B4E9", alpha=0.3, linewidth=0,
    label=r"$\pm$ 2 standard deviations, beyond the data",
)  # fmt: skip
ax.plot(grid, np.where(outside, mean, np.nan), color="black", linewidth=0.8)
ax.set(ylim=(-1.2, 2.0), title="The band is wider where there are no data")
ax.legend(frameon=False, fontsize="small")

picture = Path("plot_noisy_curve.png").resolve()
plt.savefig(picture, dpi=150)
print(f"\npicture saved as {picture}")
