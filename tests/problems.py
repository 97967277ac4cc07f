"""The standard nonlinear least-squares test problems: MGH (1981) and NIST StRD."""

from problems_mgh import MGH, Problem
from problems_nist import NIST

__all__ = ["MGH", "NIST", "Problem"]
