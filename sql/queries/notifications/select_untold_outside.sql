-- Conditions of a dataset's live models that were outside of what training saw after a moment, of which nobody was told.
SELECT e.entity_id, v.entity, c.channel_id, v.channel, v.started_at, v.ended_at,
       EXISTS (SELECT FROM tsad.outside_episode o
               WHERE o.channel_id = c.channel_id AND o.since_at BETWEEN v.started_at - interval '1 day' AND v.ended_at) AS is_told_elsewhere
FROM tsad.dataset d
JOIN tsad.v_outside_experience v ON v.dataset = d.name
JOIN tsad.entity e ON e.dataset_id = d.dataset_id AND e.name = v.entity
JOIN tsad.channel c ON c.dataset_id = d.dataset_id AND c.name = v.channel
WHERE d.dataset_id = %(dataset_id)s AND v.lineage = 'live' AND v.ended_at > %(newer_than)s
  AND NOT EXISTS (
    SELECT FROM tsad.outside_entity m JOIN tsad.outside_episode o USING (episode_id)
    -- What late rows made begin at another hour is the same one.
    WHERE m.entity_id = e.entity_id AND o.channel_id = c.channel_id AND m.since_at BETWEEN v.started_at - interval '1 day' AND v.ended_at)
ORDER BY v.channel, v.started_at, v.entity
