"""Tests of the face for Python and notebooks."""
