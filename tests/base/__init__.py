"""Tests of base/, the ground floor."""
