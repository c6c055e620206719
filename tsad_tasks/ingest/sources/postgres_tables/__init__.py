"""How tables of Postgres are looked at, read and filled; only sources.postgres and load-csv use it."""
