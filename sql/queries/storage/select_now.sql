-- The server's clock at this moment, which alone decides about rows.
SELECT clock_timestamp() AS now
