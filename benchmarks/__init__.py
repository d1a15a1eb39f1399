"""softstep's speed beside its peers', on the same work and in one run: `python -m benchmarks`."""
