-- What the inventory says of entities of a dataset now; retired since where the source has been read up to.
INSERT INTO tsad.inventory AS i (entity_id, carrier, retired_since)
SELECT e.entity_id, u.carrier,
       CASE WHEN u.is_retired THEN coalesce(
         (SELECT h.read_until FROM tsad.ingest_hour h WHERE h.dataset_id = e.dataset_id ORDER BY h.hour_at DESC LIMIT 1), clock_timestamp()) END
FROM unnest(%(entity)s::text[], %(carrier)s::text[], %(is_retired)s::boolean[]) AS u(entity, carrier, is_retired)
JOIN tsad.entity e ON e.dataset_id = %(dataset_id)s AND e.name = u.entity
ON CONFLICT (entity_id) DO UPDATE
  SET carrier = excluded.carrier, noted_at = clock_timestamp(),
      retired_since = CASE WHEN excluded.retired_since IS NULL THEN NULL ELSE coalesce(i.retired_since, excluded.retired_since) END
  WHERE i.carrier <> excluded.carrier OR (i.retired_since IS NULL) <> (excluded.retired_since IS NULL)
