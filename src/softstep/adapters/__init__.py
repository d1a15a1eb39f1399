"""Target updates for networks that are trained elsewhere. Each module imports only its own framework."""
