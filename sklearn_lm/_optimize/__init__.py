"""Levenberg-Marquardt for any nonlinear least-squares objective; no network is known here."""
