"""Keras models, layers, losses, metrics, optimizers and schedules.

Read in this order: spec (what goes in and comes out), config (what can be asked for),
registry (from a name to a model), then the models themselves.
"""
