"""Levenberg-Marquardt for any nonlinear least-squares objective, without knowledge of networks."""
