"""Several iterations of a small problem in one call.

With some dozens of parameters a call of a kernel takes as long as what it computes, and so does what Python does
between two of them.
"""

import math

from .bundles import Buffers, GramTables, NetworkArrays, RowData
from .compile import MAX_ROUNDS, Part, clock, jit
from .damping import ACCEPTED, LATE, REJECTED, Trial, acceptable_cost, decide, is_flat
from .gram import accumulate_gram_products, finish_linearization
from .layout import TO_SECOND, total_of_slots
from .linalg import is_finite, norm
from .output_layer import accumulate_output_products, finish_output_layer
from .second_order import accumulate_along, finish_gradient
from .steps import add_acceleration, damped_step

_accumulate_output, _accumulate_gram = accumulate_output_products.serial, accumulate_gram_products.serial
_accumulate_along = accumulate_along.serial

# Columns of `records`, one row per accepted step: F, norm of its gradient, the damping after it, its gain ratio, trials
# so far; seconds since the call began, and those of its trials in three phases (equations, steps, trial points).
COST, NORM, MU, GAIN_RATIO, N_TRIALS, ELAPSED, JACOBIAN, SOLVE, EVALUATE = range(9)
N_RECORDED = 9


@jit()
def iterate(
    X, Y, root_weight, x_scaling, layout, pairs, delta_factors, input_factors, penalty_diag,
    current, is_current, other, is_other, scratch, gram_sums, output_sums, sums, L,
    theta, cost, gradient, gram, diagonal, mu, growth, rule, accelerates, solves, max_ratio, n_max, seconds,
    step, moved, new_gradient, new_gram, thetas, squares, records,
):  # fmt: skip
    """Make up to `n_max` accepted steps of a problem of few rows with a Gram matrix, as `levenberg_marquardt` does.

    With `n_max` zero nothing moves: the "trial point" is theta, with its output layer solved for if `solves`, else as
    it is and with its linearization in `new_gradient` and `new_gram`. Small problems get both from this kernel, so
    that the first of all fits compiles it alone.

    The arguments are flat, because a named tuple from Python costs about 0.5 us, and 0.1 us more for each member. The
    first two rows are those of the drivers, with two arrays of units, `current` for theta and `other`
    for the trial point, and whether they hold these already. `theta`, `gradient` and `gram` become those of the last
    accepted step; `thetas`, `squares` and `records` get a row for each of them; what was tried last is in the row
    after them, if there is one. `rule` is that of `decide`, and `seconds` are those that are left.

    Returns the number of accepted steps, the status of the last trial, mu and its growth, the number of trials that F
    was evaluated for, F at the last trial point, and whether the array of theta holds its units. The two arrays have
    changed places if the number of accepted steps is odd.
    """
    rows, tables = RowData(X, Y, root_weight, x_scaling, 0), GramTables(pairs, delta_factors, input_factors, 0)
    n_slots = scratch.shape[0]
    everything = Part(0, n_slots, n_slots, 0, MAX_ROUNDS, True)
    start = now = clock()
    n_accepted, n_trials, status = 0, 0, ACCEPTED
    jacobian = solve = evaluate = 0.0
    moves, gradient_norm = n_max > 0, norm(gradient)
    while True:
        trial, predicted_reduction, trial_cost, new_cost = thetas[n_accepted], math.inf, math.nan, math.nan
        if moves:
            predicted_reduction = damped_step(gram, gradient, mu, diagonal, L, theta, step, moved)
        else:
            for j in range(theta.size):
                moved[j] = theta[j]
        before, now = now, clock()
        solve += now - before
        if predicted_reduction < math.inf or not moves:
            n_trials += 1
            if moves and accelerates and not is_flat(cost, predicted_reduction):
                # new_gradient is not needed yet.
                network, buffers = NetworkArrays(theta, layout), Buffers(current, is_current, scratch, sums)
                _accumulate_along(everything, rows, network, step, TO_SECOND, buffers)
                finish_gradient(layout, total_of_slots(sums), new_gradient)
                is_current = True
                add_acceleration(L, new_gradient, diagonal, max_ratio, step, moved)
            if solves:
                network = NetworkArrays(moved, layout)
                _accumulate_output(everything, rows, network, Buffers(other, is_other, scratch, output_sums))
                trial_cost = finish_output_layer(network, total_of_slots(output_sums), penalty_diag, trial)
            else:
                for j in range(theta.size):
                    trial[j] = moved[j]
            before, now = now, clock()
            evaluate += now - before
            # A NaN fails this comparison, as it should.
            if (moves and trial_cost < acceptable_cost(cost, predicted_reduction)) or not solves:
                network, buffers = NetworkArrays(trial, layout), Buffers(other, solves or is_other, scratch, gram_sums)
                _accumulate_gram(everything, rows, network, tables, buffers)
                total = total_of_slots(gram_sums)
                new_cost = finish_linearization(
                    network, tables, total, penalty_diag, squares[n_accepted], new_gradient, new_gram
                )
                if not solves:  # F alone would take half as long as all of it
                    trial_cost = new_cost
                before, now = now, clock()
                jacobian += now - before
        if not moves:
            break
        # Gradient and Gram matrix can overflow where F does not.
        finite = math.isfinite(new_cost) and is_finite(new_gradient, new_gram)
        new_norm = norm(new_gradient) if finite else math.nan
        tried = Trial(predicted_reduction, trial_cost, new_cost, new_norm, finite)
        status, gain_ratio, mu, growth = decide(cost, gradient_norm, tried, mu, growth, rule)
        if status == ACCEPTED:
            cost, gradient_norm = new_cost, new_norm
            for j in range(theta.size):
                theta[j], gradient[j] = trial[j], new_gradient[j]
                for k in range(j + 1):
                    gram[j, k] = new_gram[j, k]
            current, is_current, other = other, True, current
            record = records[n_accepted]
            record[COST], record[NORM], record[MU], record[GAIN_RATIO] = cost, new_norm, mu, gain_ratio
            record[N_TRIALS], record[ELAPSED] = n_trials, now - start
            record[JACOBIAN], record[SOLVE], record[EVALUATE] = jacobian, solve, evaluate
            jacobian = solve = evaluate = 0.0
            n_accepted += 1
            if n_accepted == n_max:
                break
        elif status != REJECTED:
            break
        elif now - start >= seconds:
            status = LATE
            break
    return n_accepted, status, mu, growth, n_trials, trial_cost, is_current
