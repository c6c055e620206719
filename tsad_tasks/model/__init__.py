"""Numbers in, numbers out: no files, clock, database or random state."""
