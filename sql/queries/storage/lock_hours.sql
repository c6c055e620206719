-- Advisory transaction locks of a dataset's hours, ascending: exclusive where blocks are written, shared where they are only read.
SELECT CASE WHEN h.hour = ANY(%(hours)s::int[]) THEN pg_advisory_xact_lock(%(dataset_id)s, h.hour)::text
            ELSE pg_advisory_xact_lock_shared(%(dataset_id)s, h.hour)::text END
FROM (SELECT DISTINCT unnest(%(hours)s::int[] || %(seen)s::int[]) AS hour ORDER BY 1) AS h
