"""What each command is told: dataclasses whose fields are the flags.

Read in this order: commands, flags; then the parts.
"""
