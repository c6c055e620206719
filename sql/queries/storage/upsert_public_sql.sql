-- Notes which views and functions are in place now.
INSERT INTO tsad.public_sql (digest) VALUES (%(digest)s)
ON CONFLICT ((true)) DO UPDATE SET digest = EXCLUDED.digest, put_at = clock_timestamp()
