"""The engine: one training loop for every strategy. It knows no flags and no folder.

Read in this order: randomness, state, step, loop, actions, evaluation, checkpoints.
"""
