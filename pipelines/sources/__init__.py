"""Sources: random access to raw examples, whatever holds them. Begin with `base`."""
