"""What a terminal shows: progress, tables and curves as text."""
