-- Tells the planner what was filled in.
ANALYZE {table}
