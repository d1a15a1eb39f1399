"""Reports of runs, from tables and dictionaries: terminal output, pictures, animations, pages."""
