"""A run published: a graph that takes what the world has, gated before it serves.

Begin with `exporting`, which is what `atelier export` does; `signatures` is the graph,
`inputs` what it takes, `parity` the gate, `publishing` the version folder, `loading`
the way back in.
"""
