"""The engine: one training loop for every strategy. It knows no flags and no folder.

Read in this order: randomness, algorithm, step, segments, state, loop, actions,
evaluation, checkpoints.
"""
