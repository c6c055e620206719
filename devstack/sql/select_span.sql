-- What a table holds: its first time, its last one, and its number of rows.
SELECT extract(epoch FROM min({at})), extract(epoch FROM max({at})), count(*) FROM {table}
