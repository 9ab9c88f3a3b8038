"""What is measured against peers, each by `python -m benchmarks.NAME`."""
