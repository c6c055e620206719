-- Hours in which totals began anew, so that as many steps of a counter have less than was consumed.
SELECT q.entity_id, q.hour_at, c.name AS channel, q.n_steps
FROM tsad.quality q
JOIN tsad.channel c USING (channel_id)
WHERE q.entity_id = ANY(%(entity_ids)s::int[]) AND q.hour_at >= %(start_at)s AND q.hour_at < %(end_at)s AND q.verdict = 'counter_reset'
ORDER BY q.entity_id, q.hour_at, c.name
