"""Tests of pipelines.features."""
