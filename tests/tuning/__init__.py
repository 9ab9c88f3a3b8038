"""Tests of the tuning room, without processes or training."""
