-- Whether any hour of a range has scores.
SELECT EXISTS (
  SELECT FROM tsad.v_status
  WHERE dataset = %(dataset)s AND lineage = %(lineage)s AND hour_at >= %(start_at)s AND hour_at < %(end_at)s
    AND status IN ('scored', 'partial', 'unknown_entity_scale')) AS has_scores
