"""Tests of app/serving."""
