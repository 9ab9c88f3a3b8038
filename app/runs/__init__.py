"""What a run is: its folder, what it is put together from, and how it goes.

Read in this order: folder, data, network, assembly, train, run, journal, results,
evaluate.
"""
