"""One module a command, imported on use.

Each has `CONFIG`, the dataclass of its flags, and `run(config)`, which returns the
exit status. TensorFlow is imported inside `run`, so that `--help` and mistakes answer
at once.
"""
