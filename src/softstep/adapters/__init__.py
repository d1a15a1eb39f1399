"""Side doors: target updates for networks that are trained elsewhere. Each module imports its own framework alone."""
