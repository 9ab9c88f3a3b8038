"""Tests of the devices and machines a run uses."""
