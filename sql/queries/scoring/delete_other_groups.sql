-- Removes groups that began in a range of time, but for those of a list.
DELETE FROM tsad.incident_group
WHERE dataset_id = %(dataset_id)s AND lineage = %(lineage)s AND started_at >= %(start_at)s AND started_at < %(end_at)s
  AND group_id <> ALL(%(kept)s::text[])
