"""Write the golden files of this release: `python tests/make_golden.py`, once for each release, before it is made.

Models in the skops format, which runs no code when it is read, with rows and what the models predicted for them.
"""

import warnings
from pathlib import Path

import numpy as np
import skops.io
from sklearn.exceptions import ConvergenceWarning

from sklearn_lm import LMRegressor, __version__

FOLDER = Path(__file__).with_name("golden")
KINDS = {
    "curve": {"hidden_layer_sizes": 3},
    "outputs": {"hidden_layer_sizes": (3, 2), "activation": ("logistic", "softplus"), "early_stopping": True},
    "wide": {"hidden_layer_sizes": 30, "n_starts": 1, "warm_start": True},
    "evidence": {"hidden_layer_sizes": 3, "alpha": "evidence", "n_networks": 2},
    "linear": {"hidden_layer_sizes": (), "scaling": None},
}


def main() -> None:
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, size=(60, 2))
    y = np.sin(2 * X[:, 0]) * X[:, 1]
    predictions = {}
    for kind, parameters in KINDS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LMRegressor(**{"max_iter": 10, "n_starts": 2, "random_state": 0, **parameters})
            model.fit(X, np.column_stack([y, X[:, 0] ** 2]) if kind == "outputs" else y)
        skops.io.dump(model, FOLDER / f"{__version__}-{kind}.skops")
        predictions[kind] = model.predict(X)
    np.savez(FOLDER / f"{__version__}-predictions.npz", X=X, **predictions)


if __name__ == "__main__":
    main()
