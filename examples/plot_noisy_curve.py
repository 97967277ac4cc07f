"""
A noisy curve, with error bars
==============================

A hundred noisy points of a damped oscillation, with a gap in the middle. A small penalty keeps the network from
following the noise, and the factor of its last Gram matrix says how far each prediction can be trusted: the band is as
wide as the noise where there are data, and widens in the gap and beyond the ends.

It is the doubt of this network only: far outside of the data the curve may be anything, and left of zero it leaves the
band. ``extrapolation_score`` tells: well above 1, do not trust the prediction.

Leave-one-out residuals come from the same factor. They say, without a second fit, how well the network does on rows
that it has not seen.
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

print(f"\nnoise: standard deviation {np.sqrt(model.noise_variance_):.3f}, that of the data is 0.060")
print(f"effective parameters: {model.n_effective_parameters_:.1f}")
print(f"R2 {model.score(X, y):.3f}, and {model.loo_score_:.3f} on rows left out one by one")

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
ax.plot(grid, np.exp(-2 * grid) * np.cos(14 * grid), ":", color="#D55E00", label="without noise")
outside = (grid[:, 0] < x.min()) | (grid[:, 0] > x.max())
ax.fill_between(
    grid[:, 0], mean - 2 * std, mean + 2 * std, where=outside, color="#56B4E9", alpha=0.3, linewidth=0,
    label="the same, outside of the data",
)  # fmt: skip
ax.plot(grid, np.where(outside, mean, np.nan), color="black", linewidth=0.8)
ax.set(ylim=(-1.2, 1.6), title="Wider where there are no data")
ax.legend(frameon=False, fontsize="small")

picture = Path("plot_noisy_curve.png").resolve()
plt.savefig(picture, dpi=150)
print(f"\npicture saved as {picture}")
