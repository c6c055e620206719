-- Whether a lineage has a champion at any time of a range.
SELECT EXISTS (
  SELECT FROM tsad.champion_period p
  WHERE p.dataset_id = %(dataset_id)s AND p.lineage = %(lineage)s
    AND p.valid_from < %(end_at)s::timestamptz AND p.valid_to > %(start_at)s::timestamptz) AS has_champion
