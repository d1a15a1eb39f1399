"""Studies: a grid of settings × seeds, run as a few populations, gathered in one table."""
