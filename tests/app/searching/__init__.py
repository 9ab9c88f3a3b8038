"""Tests of searches with real processes."""
