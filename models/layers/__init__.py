"""Layers of Atelier's own: where Keras has none, or a slower one."""
