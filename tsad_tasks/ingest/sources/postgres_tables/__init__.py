"""How tables of Postgres are looked at, read and filled, for sources.postgres and load-csv."""
