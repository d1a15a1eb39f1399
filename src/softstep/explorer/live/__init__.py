"""Live agents: one subprocess each, which trains, obeys the sliders and shows what it does."""
