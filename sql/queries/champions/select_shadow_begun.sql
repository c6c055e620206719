-- Whether champion and challenger have both scored an hour of a shadow.
SELECT EXISTS (
  SELECT FROM tsad.v_shadow v JOIN tsad.dataset d ON d.name = v.dataset JOIN tsad.model m ON m.dataset_id = d.dataset_id
  WHERE d.dataset_id = %(dataset_id)s AND m.model_id = %(model_id)s AND v.challenger_version = m.version AND v.lineage = %(lineage)s
    AND v.hour_at >= %(start_at)s AND v.n_paired > 0)
