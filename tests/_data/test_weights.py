"""Reading of weights: repetitions or precisions, whatever their unit."""

import numpy as np
import pytest

from sklearn_lm._data.blocks import BlockSet
from sklearn_lm._data.executors import merge_tree
from sklearn_lm._data.rows import DataSet
from sklearn_lm._data.weights import MAX_MULTIPLE, Weighting, read_weights


class InProcess:
    """An executor whose blocks are here."""

    def persist(self, function, *handles):
        return [function(*blocks) for blocks in zip(*handles, strict=True)]

    def reduce(self, function, handles, merge=np.add):
        return merge_tree(merge, *(function(block) for block in handles))


UNITS = [1.0, 1e4, 0.1, 1e-13, 1 / 3, 7e12]


def rows_of(weight):
    weight = np.asarray(weight, dtype=np.float64)
    return DataSet(np.zeros((len(weight), 1)), np.zeros((len(weight), 1)), weight)


def read(weight, weight_type="auto", by_evidence=True):
    rows = rows_of(weight)
    return read_weights(weight_type, by_evidence, rows, rows.take(rows.weighted_rows()))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("counts", [[1, 1, 1], [1, 2, 0, 4], [3, 1, MAX_MULTIPLE], [5]])
def test_multiples_of_the_smallest_weight_are_repetitions_in_any_unit(unit, counts):
    """To the bits of the numbers themselves, also after single precision."""
    expected = np.array(counts) / min(count for count in counts if count)
    for weight in (unit * np.array(counts), (unit * np.array(counts, dtype=np.float32)).astype(np.float32)):
        reading = read(weight)
        assert reading.are_counts
        np.testing.assert_array_equal(reading.apply(rows_of(weight)).weight, expected)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("weight", [[1, 0.9, 1], [1, MAX_MULTIPLE + 1], [2, 3, 4], [1e-30, 1, 2], [1, 2.001]])
def test_other_weights_are_precisions_of_mean_one(unit, weight):
    weight = unit * np.array([0, *weight])
    reading = read(weight)
    assert not reading.are_counts
    assert reading.noise_precision is None
    divided = reading.apply(rows_of(weight)).weight
    assert divided[1:].mean() == pytest.approx(1, rel=1e-14)
    np.testing.assert_allclose(divided / divided[1], weight / weight[1], rtol=1e-14)


def test_what_is_named_is_not_guessed():
    weight = [2, 4, 4, 6]
    assert read(weight, "frequency") == read(weight, "auto", by_evidence=False) == Weighting(1.0, True, None)
    for by_evidence in (True, False):
        assert read(weight, "precision", by_evidence) == Weighting(4.0, False, None)
        assert read(weight, "inverse_variance", by_evidence) == Weighting(4.0, False, 4.0)


def test_held_out_rows_play_a_part_in_the_ratios_but_not_in_the_mean():
    rows = rows_of([1, 2, 4, 8])
    assert read_weights("auto", True, rows, rows_of([2, 4, 8])) == Weighting(1.0)
    assert read_weights("precision", True, rows, rows_of([2, 4, 9])).unit == 5.0


@pytest.mark.parametrize("weight", [[0, 0, 3, 6, 9, 3], [1, 2, 3.5, 1, 1, 0], [0, 0, 0, 0, 5, 5]])
def test_rows_in_blocks_are_read_alike(weight):
    rows = rows_of(weight)
    blocks = BlockSet(InProcess(), [rows.take(np.arange(begin, begin + 2)) for begin in (0, 2, 4)])
    reading = read(weight)
    assert read_weights("auto", True, blocks, blocks.take(blocks.weighted_rows())) == reading
    applied = reading.apply(blocks)
    assert applied.total_weight() == pytest.approx(reading.apply(rows).total_weight(), rel=1e-14)
