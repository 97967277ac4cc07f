"""Several iterations of a small problem in one call.

With some dozens of parameters a call of a kernel takes as long as what it computes, and so does what Python does
between two of them.
"""

import math

from .compile import clock, jit
from .damping import ACCEPTED, LATE, REJECTED, Trial, acceptable_cost, decide, is_flat
from .gram import normal_equations
from .linalg import is_finite, norm
from .output_layer import solve_output
from .second_order import curvature
from .steps import add_acceleration, damped_step

_EVERY = ((0, 2**31), (0, 2**31), True, True)  # all slots and rounds, from the beginning to the end of their sums
_solve_output, _normal_equations = solve_output.serial, normal_equations.serial  # type: ignore[attr-defined]
_curvature = curvature.serial  # type: ignore[attr-defined]

# Columns of `records`, one row per accepted step: F, norm of its gradient, the damping after it, its gain ratio, trials
# so far; seconds since the call began, and those of its trials in three phases (equations, steps, trial points).
COST, NORM, MU, GAIN_RATIO, N_TRIALS, ELAPSED, JACOBIAN, SOLVE, EVALUATE = range(9)
N_RECORDED = 9


@jit()
def iterate(
    X, Y, root_weight, x_scaling, layout, pairs, delta_factors, input_factors, penalty_diag,
    here, is_here, there, is_there, scratch, moments, output_moments, sums, L,
    theta, cost, gradient, gram, diagonal, mu, growth, rule, accelerates, solves, max_ratio, n_most, seconds,
    step, moved, new_gradient, new_gram, thetas, squares, records,
):  # fmt: skip
    """What `_search` does, up to `n_most` times, where there is a Gram matrix of few rows; see there.

    With `n_most` zero nothing moves: the "trial point" is theta, with its output layer solved for if `solves`, else as
    it is and with its normal equations in `new_gradient` and `new_gram`. That is what `solve_output` and
    `normal_equations` do. They are not called for small problems, so that the first of all fits compiles this alone.

    The first two rows of arguments are those of `normal_equations` and of the other drivers, with two rooms for units,
    `here` for theta and `there` for the trial point, and whether they hold these already. `theta`, `gradient` and
    `gram` become those of the last accepted step; `thetas`, `squares` and `records` get a row for each of them; what
    was tried last is in the row after them, if there is one. `rule` is that of `decide`; `seconds` are those left.

    Returns the number of accepted steps, the status of the last trial, mu and its growth, the number of trials that F
    was asked for, F at the last trial point, and whether the room for theta holds its units. The two rooms have changed
    places if the number of accepted steps is odd.
    """
    start = now = clock()
    n_accepted, n_trials, status = 0, 0, ACCEPTED
    jacobian = solve = evaluate = 0.0
    moves, gradient_norm = n_most > 0, norm(gradient)
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
                _curvature(
                    _EVERY, X, root_weight, x_scaling, theta, step, layout, is_here, here, Y.shape[1], scratch, sums,
                    new_gradient,
                )  # fmt: skip
                is_here = True
                add_acceleration(L, new_gradient, diagonal, max_ratio, step, moved)
            if solves:
                trial_cost = _solve_output(
                    _EVERY, X, Y, root_weight, x_scaling, moved, layout, is_there, there, scratch, output_moments,
                    penalty_diag, trial,
                )  # fmt: skip
            else:
                for j in range(theta.size):
                    trial[j] = moved[j]
            before, now = now, clock()
            evaluate += now - before
            # A NaN fails this comparison, as it should.
            if (moves and trial_cost < acceptable_cost(cost, predicted_reduction)) or not solves:
                new_cost = _normal_equations(
                    _EVERY, X, Y, root_weight, x_scaling, trial, layout, solves or is_there, there,
                    pairs, delta_factors, input_factors, scratch, moments, penalty_diag, squares[n_accepted],
                    new_gradient, new_gram,
                )  # fmt: skip
                if not solves:  # F alone would take half as long as all of it
                    trial_cost = new_cost
                before, now = now, clock()
                jacobian += now - before
        if not moves:
            break
        # Gradient and Gram matrix can overflow where F does not.
        finite = math.isfinite(new_cost) and is_finite(new_gradient, new_gram)
        new_norm = norm(new_gradient) if finite else math.nan
        status, gain_ratio, mu, growth = decide(
            cost, gradient_norm, Trial(predicted_reduction, trial_cost, new_cost, new_norm, finite), mu, growth, rule
        )
        if status == ACCEPTED:
            cost, gradient_norm = new_cost, new_norm
            for j in range(theta.size):
                theta[j], gradient[j] = trial[j], new_gradient[j]
                for k in range(j + 1):
                    gram[j, k] = new_gram[j, k]
            here, is_here, there = there, True, here
            record = records[n_accepted]
            record[COST], record[NORM], record[MU], record[GAIN_RATIO] = cost, new_norm, mu, gain_ratio
            record[N_TRIALS], record[ELAPSED] = n_trials, now - start
            record[JACOBIAN], record[SOLVE], record[EVALUATE] = jacobian, solve, evaluate
            jacobian = solve = evaluate = 0.0
            n_accepted += 1
            if n_accepted == n_most:
                break
        elif status != REJECTED:
            break
        elif now - start >= seconds:
            status = LATE
            break
    return n_accepted, status, mu, growth, n_trials, trial_cost, is_here
