"""How the damping follows from the trial before."""

from .compile import jit


@jit()
def damping_after(is_accepted, mu, growth, gain_ratio, rule, least):
    """mu and its growth after a trial step. `rule` is (whether Marquardt's, mu_increase, mu_decrease)."""
    is_marquardt, increase, decrease = rule
    if not is_accepted:
        return (mu * increase, growth) if is_marquardt else (mu * growth, growth * 2.0)
    if is_marquardt:
        return max(mu * decrease, least), 2.0
    # H. B. Nielsen, "Damping parameter in Marquardt's method", IMM-REP-1999-05, eq. 2.5: a smooth function of the gain
    # ratio. Its cube overflows when a tiny reduction was predicted, hence the cap at 2.
    factor = max(1 / 3, 1 - (2 * min(gain_ratio, 2.0) - 1) ** 3)
    return max(mu * factor, least), 2.0
