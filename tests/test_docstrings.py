"""Public docstrings: numpydoc's validation, complete lists of attributes, and examples that run."""

import doctest
import inspect
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import COMPILED
from numpydoc.docscrape import ClassDoc
from numpydoc.validate import validate
from sklearn.utils._param_validation import StrOptions

import sklearn_lm

GUIDE = Path(__file__).parents[1] / "doc" / "parameters.md"
CLASSES = [name for name in sklearn_lm.__all__ if inspect.isclass(getattr(sklearn_lm, name))]
# Not for any docstring, as in scikit-learn's own test:
# GL01: this project begins docstrings behind the opening quotes (PEP 257).
# RT02: a returned value may have a name, to which the description refers.
IGNORED = {"GL01", "RT02"}
# Sections that a class has for all its methods: extended summary, See Also, Examples.
IGNORED_IN_METHODS = {"ES01", "SA01", "EX01"}


def members(cls: type) -> list[str]:
    """Return the names of public methods and properties that this package defines."""
    names = []
    for name, member in inspect.getmembers(cls):
        function = member.fget if isinstance(member, property) else inspect.unwrap(member) if callable(member) else None
        if not name.startswith("_") and getattr(function, "__module__", "").startswith("sklearn_lm"):
            names.append(name)
    return names


OBJECTS = [path for name in CLASSES for path in (name, *(f"{name}.{m}" for m in members(getattr(sklearn_lm, name))))]


def test_public_objects_are_found():
    assert {"LMRegressor", "LMRegressor.predict_interval", "LMRegressor.press_", "FitDisplay.from_estimator"} <= set(
        OBJECTS
    )


@pytest.mark.parametrize("path", OBJECTS)
def test_numpydoc_validation(path):
    ignored = IGNORED | IGNORED_IN_METHODS if "." in path else IGNORED
    errors = validate(f"sklearn_lm.{path}")["errors"]
    assert not [f"{code} {message}" for code, message in errors if code not in ignored]


@pytest.mark.skipif(not COMPILED, reason="fits of full size, as in test_doc.py")
@pytest.mark.parametrize("name", CLASSES)
def test_examples(name):
    cls = getattr(sklearn_lm, name)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    tests = finder.find(cls, name, module=sys.modules[cls.__module__])
    results = [runner.run(test) for test in tests]
    assert sum(result.attempted for result in results) > 0
    assert sum(result.failed for result in results) == 0


def documented(cls: type) -> set[str]:
    """Return the names in the section Attributes."""
    return {name.strip() for entry in ClassDoc(cls)["Attributes"] for name in entry.name.split(",")}


FITS = {
    "default": {},
    "fixed alpha, robust loss": {"alpha": 1e-3, "loss": "huber"},
    "validation set": {"early_stopping": True},
    "validation set, fixed alpha": {"alpha": 1e-3, "early_stopping": True},
    "growth": {"hidden_layer_sizes": "auto"},
    "several networks": {"n_networks": 2},
}


@pytest.mark.parametrize("parameters", FITS.values(), ids=FITS)
def test_fitted_attributes_are_documented(parameters):
    x = np.linspace(-1, 1, 60)
    y = np.sin(3 * x) + 0.1 * np.random.default_rng(0).normal(size=60)
    settings = {"hidden_layer_sizes": 2, "random_state": 0, "tol": 1e-3, "max_iter": 1000, **parameters}
    model = sklearn_lm.LMRegressor(**settings).fit(x.reshape(-1, 1), y)
    public = {name for name in vars(model) if name.endswith("_") and not name.startswith("_")}
    assert public - documented(sklearn_lm.LMRegressor) == set()


def option_names() -> list[tuple[str, str]]:
    """Return the parameters that take one of several names, with each name."""
    constraints = sklearn_lm.LMRegressor._parameter_constraints
    return [
        (parameter, option)
        for parameter, allowed in constraints.items()
        for constraint in allowed
        if isinstance(constraint, StrOptions)
        for option in sorted(constraint.options)
    ]


@pytest.mark.parametrize(("parameter", "option"), option_names())
def test_options_are_documented(parameter, option):
    """In the docstring and in the guide."""
    entry = next(p for p in ClassDoc(sklearn_lm.LMRegressor)["Parameters"] if parameter in p.name.split(", "))
    assert f'"{option}"' in f"{entry.type} {' '.join(entry.desc)}"
    assert f'"{option}"' in GUIDE.read_text(encoding="utf-8")


def test_properties_are_documented():
    cls = sklearn_lm.LMRegressor
    properties = {name for name in members(cls) if isinstance(getattr(cls, name), property)}
    assert properties
    assert properties <= documented(cls)
