"""Posterior of a fitted network, mixtures of networks, and the noise that depends on the inputs."""
