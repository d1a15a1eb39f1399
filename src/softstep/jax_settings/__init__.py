"""JAX's settings that decide bits: the values that softstep computes under, whatever the user's code or shell says."""
