-- Empties a table that is filled anew.
TRUNCATE {table}
