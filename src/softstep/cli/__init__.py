"""The `softstep` command: one file per command, with arguments, printing and exit codes. The work is done elsewhere."""
