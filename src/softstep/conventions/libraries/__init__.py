"""The conventions of other libraries and of softstep, one module per library."""
