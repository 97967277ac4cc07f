"""Training of one network: several starts, the evidence, the history, callbacks and checkpoints."""
