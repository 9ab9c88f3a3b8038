"""Tests of the program: commands, run folder, training, reporting."""
