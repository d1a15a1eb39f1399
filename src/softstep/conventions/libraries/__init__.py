"""The conventions, a module for each library."""
