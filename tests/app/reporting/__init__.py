"""Tests of what a run tells its user."""
