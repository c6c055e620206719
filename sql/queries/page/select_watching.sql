-- Whether some datasets are scored in time, and if not, why.
SELECT dataset, state, scored_until, late_s, why, newest_reading_at, n_live, n_silent, n_retired, champion
FROM tsad.v_health WHERE dataset = ANY(%(datasets)s::text[]) ORDER BY dataset
