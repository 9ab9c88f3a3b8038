"""Hyperparameter search: spaces, oracles, results. A trial is a callable handed in."""
