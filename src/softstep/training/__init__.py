"""The only loop over environment steps: drivers, replay, exploration, records and evaluations."""
