"""One training loop for every strategy.

Read in this order: config, randomness, state, step, loop, evaluation, checkpoints.
"""
