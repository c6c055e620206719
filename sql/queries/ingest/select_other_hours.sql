-- Hours whose readings are kept and that were read by settings other than these; of what was read before they were kept nothing is known.
SELECT h.settings AS digest, h.hour_at, h.read_until
FROM tsad.ingest_hour h JOIN tsad.dataset d USING (dataset_id)
WHERE h.dataset_id = %(dataset_id)s AND h.settings <> %(digest)s AND h.hour_at >= coalesce(d.retired_before, '-infinity')
ORDER BY h.hour_at
