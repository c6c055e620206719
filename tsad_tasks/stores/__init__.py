"""Databases that other systems write: which one it is, what is in it, and a dataset file for it."""
