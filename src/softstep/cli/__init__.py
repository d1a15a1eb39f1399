"""The `softstep` command: arguments, printing and exit codes; the work is done elsewhere."""
