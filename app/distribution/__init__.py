"""Where a run executes: one device, several devices, several machines."""
