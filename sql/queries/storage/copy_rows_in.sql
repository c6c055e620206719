-- Takes rows in binary form into a temporary table.
COPY pg_temp.{table} FROM STDIN (FORMAT binary)
