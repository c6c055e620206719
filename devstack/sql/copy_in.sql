-- Fills a table.
COPY {table} FROM STDIN (FORMAT binary)
