"""The explorer's rooms: pure functions from parameters to the numbers that a page draws."""
