"""Posterior of a fitted network, ensembles of networks, and noise whose variance depends on the inputs."""
