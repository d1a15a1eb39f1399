"""Benchmarks of softstep and its peers on the same work, measured in one run: `python -m benchmarks`."""
