"""Runs the trials of a search as processes: read command.py first, then agent.py."""
