"""Systems that write sensor values into PostgreSQL, started here and told what to write."""
