"""Studies: a grid of settings × seeds, run as a few populations and gathered in one table."""
