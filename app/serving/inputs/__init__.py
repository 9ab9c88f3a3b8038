"""How each kind of input is served: one file a kind, named as the feature.

Read base, then image; registry finds the one of a run's examples.
"""
