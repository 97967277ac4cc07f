"""Several iterations of a small problem in one call.

With some dozens of parameters a call of a kernel takes as long as what it computes, and so does what Python does
between two of them.
"""

import math

from .compile import clock, jit
from .damping import damping_after
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
# Why `iterate` returned: it has made what was asked for; F has no digits left; damping has reached its end; it is late.
DONE, NO_DIGITS, NO_STEP, LATE = range(4)


@jit()
def iterate(
    X, Y, root_weight, x_scaling, layout, pairs, delta_factors, input_factors, penalty_diag,
    here, is_here, there, is_there, scratch, moments, output_moments, sums, L,
    theta, cost, gradient, gram, diagonal, mu, growth, rule, least_mu, most_mu, accelerates, solves, resolution,
    max_ratio, n_most, seconds, step, moved, new_gradient, new_gram, thetas, squares, records,
):  # fmt: skip
    """What `_search` does, up to `n_most` times, where there is a Gram matrix of few rows; see there.

    With `n_most` zero nothing moves: the "trial point" is theta, with its output layer solved for if `solves`, else as
    it is and with its normal equations in `new_gradient` and `new_gram`. That is what `solve_output` and
    `normal_equations` do. They are not called for small problems, so that the first of all fits compiles this alone.

    The first two rows of arguments are those of `normal_equations` and of the other drivers, with two rooms for units,
    `here` for theta and `there` for the trial point, and whether they hold these already. `theta`, `gradient` and
    `gram` become those of the last accepted step; `thetas`, `squares` and `records` get a row for each of them; what
    was tried last is in the row after them, if there is one. `rule` is that of `damping_after`, and `seconds` are those
    that are left.

    Returns the number of accepted steps, why there are no more, mu and its growth, the number of trials that F was
    asked for, F at the last trial point, and whether the room for theta holds its units. The two rooms have changed
    places if the number of accepted steps is odd.
    """
    start = now = clock()
    n_accepted, n_trials, reason = 0, 0, DONE
    jacobian = solve = evaluate = 0.0
    moves = n_most > 0
    while True:
        trial, predicted_reduction, is_flat, trial_cost, new_cost = (
            thetas[n_accepted],
            math.inf,
            False,
            math.nan,
            math.nan,
        )
        if moves:
            predicted_reduction = damped_step(gram, gradient, mu, diagonal, L, theta, step, moved)
            is_flat = predicted_reduction <= resolution * cost
        else:
            for j in range(theta.size):
                moved[j] = theta[j]
        largest_cost = (1.0 + resolution * is_flat) * cost
        before, now = now, clock()
        solve += now - before
        if predicted_reduction < math.inf or not moves:
            n_trials += 1
            if moves and accelerates and not is_flat:
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
            if (moves and trial_cost < largest_cost) or not solves:
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
        improves, gain_ratio = trial_cost < largest_cost, math.nan
        if improves:
            improves = norm(new_gradient) <= 0.5 * norm(gradient) if is_flat else new_cost < cost
            # Gradient and Gram matrix can overflow where F does not.
            improves = improves and math.isfinite(new_cost) and is_finite(new_gradient, new_gram)
        if improves:
            gain_ratio = math.nan if is_flat else (cost - new_cost) / predicted_reduction
        mu, growth = damping_after(improves, mu, growth, 1.0 if is_flat else gain_ratio, rule, least_mu)
        if improves:
            cost = new_cost
            for j in range(theta.size):
                theta[j], gradient[j] = trial[j], new_gradient[j]
                for k in range(j + 1):
                    gram[j, k] = new_gram[j, k]
            here, is_here, there = there, True, here
            record = records[n_accepted]
            record[COST], record[NORM], record[MU], record[GAIN_RATIO] = cost, norm(gradient), mu, gain_ratio
            record[N_TRIALS], record[ELAPSED] = n_trials, now - start
            record[JACOBIAN], record[SOLVE], record[EVALUATE] = jacobian, solve, evaluate
            jacobian = solve = evaluate = 0.0
            n_accepted += 1
            if n_accepted == n_most:
                break
        elif is_flat:
            reason = NO_DIGITS
            break
        elif mu > most_mu or math.isinf(mu):
            reason = NO_STEP
            break
        elif now - start >= seconds:
            reason = LATE
            break
    return n_accepted, reason, mu, growth, n_trials, trial_cost, is_here
