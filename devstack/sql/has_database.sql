-- Whether the server has a database.
SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)
