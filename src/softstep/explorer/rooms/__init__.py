"""The explorer's rooms: pure functions from parameters to the numbers that the page draws."""
