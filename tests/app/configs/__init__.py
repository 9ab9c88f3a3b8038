"""Tests of app/configs."""
