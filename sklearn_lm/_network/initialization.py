"""Initial weights: families of starts, all of them drawn with the data in view.

No family is right everywhere. Units spread over the range of the data suit one input, small weights suit many, and
a sharp feature wants a steep unit that begins near it. `FAMILIES` names them, `draw` makes one start, and
`mix` says how often each is drawn.

Every family sees the data through a sample of distinct rows and their weights (`distinct_rows`), so a row given
twice counts as one of weight two, and the order of the rows does not matter.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._kernels import ACTIVATIONS, activate_lines
from .topology import Network, layer_matrices

# A unit of a deeper layer reads activations that are themselves bent. Twice the magnitude took 9 iterations in place
# of 13 on the multimodal curve with three hidden layers, and 6 in place of 8 on a ripple with two.
DEEPER = 2.0
# The range of a projection is taken between these quantiles, so that a heavy tail does not set it.
TAIL = 0.02
# Slopes that span a smaller range would overflow; it counts as none.
MIN_RANGE = 1e-150


class Sample(NamedTuple):
    """Inputs of a layer, one line per input, and the weight of each sample."""

    lines: np.ndarray  # (n_inputs, n_samples)
    weight: np.ndarray  # (n_samples,), sums to 1
    Y: np.ndarray  # (n_samples, n_outputs), scaled targets


Family = Callable[[Sample, int, float, np.random.RandomState], np.ndarray]


@np.errstate(over="ignore", invalid="ignore")  # a start that overflows is one that loses
def draw(network: Network, family: str, sample: Sample, rng: np.random.RandomState) -> np.ndarray:
    """Return theta of one random start. The output layer starts from Glorot's weights whatever the family."""
    theta = np.empty(network.n_parameters)
    matrices = layer_matrices(network, theta)
    for layer, (matrix, name) in enumerate(zip(matrices, network.activations, strict=True)):
        if name == "identity":  # linear everywhere
            matrix[:] = glorot(sample, len(matrix), 1.0, rng)
        else:
            # The data-driven families choose the first layer; what a deeper one reads is no data of the user's.
            make = FAMILIES[family] if layer == 0 or family == "glorot" else nguyen_widrow
            active = ACTIVATIONS[name].active_range * (DEEPER if layer else 1.0)
            matrix[:] = make(sample, len(matrix), active, rng)
        z = matrix[:, :-1] @ sample.lines + matrix[:, -1:]
        activate_lines(ACTIVATIONS[name].code, z)
        sample = sample._replace(lines=z)
    return theta


def nguyen_widrow(sample: Sample, n_units: int, active: float, rng: np.random.RandomState) -> np.ndarray:
    """Return [W | b] whose units divide the range of the inputs among themselves.

    D. Nguyen and B. Widrow, "Improving the learning speed of 2-layer neural networks by choosing initial values
    of the adaptive weights", IJCNN 1990: directions at random, |w| = 0.7 H^(1/d), biases spread over [-|w|, |w|], for
    inputs in [-1, 1]. What the inputs really do along each direction takes the place of [-1, 1]: the range
    of the projections of the data on it. Inputs that never change take no part.
    """
    direction = _random_directions(sample, n_units, rng)
    low, high = _quantiles(direction @ sample.lines, sample.weight, (TAIL, 1 - TAIL))
    centre, half = (low + high) / 2, (high - low) / 2
    half[half < MIN_RANGE] = 1.0
    n_inputs = int(np.count_nonzero(direction.any(axis=0)))
    magnitude = 0.7 * active * n_units ** (1 / max(1, n_inputs))
    # The centre of a single unit is in the middle of the data and not at its edge.
    spread = np.linspace(-1.0, 1.0, n_units) if n_units > 1 else np.zeros(1)
    # With one input the sign of w must be undone, so that the centres -b / w lie evenly; with several inputs any sign
    # will do.
    spread = spread * np.where(direction.sum(axis=1) < 0, -1.0, 1.0)
    W = magnitude * direction / half[:, None]
    return np.column_stack([W, magnitude * (spread - centre / half)])


def glorot(sample: Sample, n_units: int, active: float, rng: np.random.RandomState) -> np.ndarray:
    """Return [W | b], uniform on +-sqrt(6 / (n_in + n_out)) (Glorot & Bengio, AISTATS 2010, eq. 16), biases zero."""
    n_inputs = len(sample.lines)
    bound = np.sqrt(6.0 / (n_inputs + n_units))
    return np.column_stack([rng.uniform(-bound, bound, size=(n_units, n_inputs)), np.zeros(n_units)])


def small(sample: Sample, n_units: int, active: float, rng: np.random.RandomState) -> np.ndarray:
    """Return Glorot's weights at half their size, with small biases: a nearly linear start for several inputs."""
    matrix = 0.5 * glorot(sample, n_units, active, rng)
    matrix[:, -1] = rng.uniform(-0.5, 0.5, size=n_units)
    return matrix


def centred(sample: Sample, n_units: int, active: float, rng: np.random.RandomState) -> np.ndarray:
    """Return units that are nonlinear near data points drawn at random, with slopes of all sizes."""
    return _through_data(sample, n_units, active * _log_uniform(rng, 0.7, 5.0, n_units), rng)


def steep(sample: Sample, n_units: int, active: float, rng: np.random.RandomState) -> np.ndarray:
    """Return units like `centred`, with slopes so large that each unit is a step."""
    return _through_data(sample, n_units, active * _log_uniform(rng, 4.0, 30.0, n_units), rng)


def selected(sample: Sample, n_units: int, active: float, rng: np.random.RandomState) -> np.ndarray:
    """Return units chosen one by one from many random ones, each to explain most of what the others leave.

    Orthogonal matching pursuit (Pati, Rezaiifar & Krishnaprasad 1993) over ridge functions tanh(w x + b). With several
    inputs, half of the candidates depend on one only: random directions miss a fast function of one of them.
    """
    n_along_axes = 6 * n_units + 60 if len(sample.lines) > 1 else 0
    n_candidates = 6 * n_units + 60 + n_along_axes
    slopes = active * _log_uniform(rng, 0.5, 12.0, n_candidates)
    candidates = _through_data(sample, n_candidates, slopes, rng, n_along_axes)
    root = np.sqrt(sample.weight)
    features = np.tanh((candidates[:, :-1] @ sample.lines + candidates[:, -1:]) / active) * root
    targets = (sample.Y * root[:, None]).T
    # Of each candidate, only the part that is orthogonal to the units already chosen (and to the constant, which the
    # output bias provides) counts: its squared norm, and its products with the targets.
    norm = np.einsum("ij,ij->i", features, features)
    product = features @ targets.T
    basis = np.empty((n_units + 1, len(root)))
    basis[0] = root / np.linalg.norm(root)
    chosen: list[int] = []
    for i in range(n_units):
        along = features @ basis[i]
        norm -= along**2
        product -= np.outer(along, targets @ basis[i])
        is_new = norm > 1e-10  # else there is nothing in it that the others do not have
        gain = np.zeros(n_candidates)
        np.divide(np.sum(product**2, axis=1), norm, out=gain, where=is_new)
        gain[chosen] = -1.0
        chosen.append(int(np.argmax(gain)))
        column = features[chosen[-1]]
        for _ in range(2):  # Gram-Schmidt, and once more for what rounding left
            column = column - basis[: i + 1].T @ (basis[: i + 1] @ column)
        basis[i + 1] = column / max(float(np.linalg.norm(column)), 1e-300)
    return candidates[chosen]


FAMILIES: dict[str, Family] = {
    "nguyen_widrow": nguyen_widrow,
    "glorot": glorot,
    "small": small,
    "centred": centred,
    "steep": steep,
    "selected": selected,
}


def mix(n_starts: int, n_inputs: int, first: str) -> list[str]:
    """Return the families of the starts: first the one the user named, then the others in turn.

    One input: spreading units has one answer, so chance has to come from data-driven families. Several: no
    family is best, so most take an equal part.
    """
    turn: tuple[str, ...]
    if n_inputs == 1:
        turn = ("selected", "centred", "steep", "selected", "small")
    else:
        turn = ("centred", "nguyen_widrow", "small", "selected", "centred", "nguyen_widrow", "small", "steep")
    return [first] + [turn[i % len(turn)] for i in range(n_starts - 1)]


def _random_directions(sample: Sample, n_units: int, rng: np.random.RandomState) -> np.ndarray:
    """Return unit vectors, one a line, with zeros for inputs that never change."""
    varies = np.ptp(sample.lines, axis=1) > 0 if len(sample.lines) else np.zeros(0, dtype=bool)
    direction = rng.uniform(-1.0, 1.0, size=(n_units, len(varies))) * varies
    length = np.linalg.norm(direction, axis=1, keepdims=True)
    return direction / np.where(length > 0, length, 1.0)


def _quantiles(lines: np.ndarray, weight: np.ndarray, shares: tuple[float, ...]) -> list[np.ndarray]:
    """Return for each share q the least value of each line up to which a share q of the weight lies.

    A share within 1e-9 counts as reached: the rounding of a sum of weights must not decide between neighbours.
    """
    order = np.argsort(lines, axis=1)
    reached = np.cumsum(weight[order], axis=1)
    every = np.arange(len(lines))
    ranks = (np.minimum(np.sum(reached < q - 1e-9, axis=1), lines.shape[1] - 1) for q in shares)
    return [lines[every, order[every, rank]] for rank in ranks]


def _through_data(
    sample: Sample, n_units: int, magnitude: np.ndarray, rng: np.random.RandomState, n_along_axes: int = 0
) -> np.ndarray:
    """Return [W | b] with w x + b = 0 at data points drawn by weight; the last units depend on one input each."""
    direction = _random_directions(sample, n_units, rng)
    if n_along_axes:
        last = direction[-n_along_axes:]
        last *= np.abs(last) == np.abs(last).max(axis=1, keepdims=True, initial=0.0)
        last /= np.where(last == 0, 1.0, np.abs(last))
    # The range along a direction from those of the inputs, as if they were independent: there may be hundreds of
    # directions, and the slopes are random anyway.
    low, high = _quantiles(sample.lines, sample.weight, (TAIL, 1 - TAIL))
    half = np.sqrt(direction**2 @ ((high - low) / 2) ** 2)
    W = (magnitude / np.where(half < MIN_RANGE, 1.0, half))[:, None] * direction
    points = np.searchsorted(np.cumsum(sample.weight), rng.uniform(0, 1 - 1e-9, size=n_units))
    return np.column_stack([W, -np.sum(W.T * sample.lines[:, points], axis=0)])


def _log_uniform(rng: np.random.RandomState, low: float, high: float, size: int) -> np.ndarray:
    return np.exp(rng.uniform(np.log(low), np.log(high), size=size))
