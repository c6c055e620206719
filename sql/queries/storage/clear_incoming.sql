-- Empties a temporary table that was filled before in this transaction.
TRUNCATE pg_temp.{table}
