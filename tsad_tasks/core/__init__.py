"""Numbers in, numbers out: no files, clock, environment, database or global random state."""
