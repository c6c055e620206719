-- The server's clock, for revisions decided under the hours' locks.
SELECT clock_timestamp() AS decided_at
