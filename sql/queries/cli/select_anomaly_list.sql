-- Anomalies of a dataset in a range, newest first.
SELECT entity, at, severity, kind, 1 + score AS times_threshold, error, threshold, channel, actual, expected
FROM tsad.v_anomaly
WHERE dataset = %(dataset)s AND lineage = %(lineage)s AND at >= %(start_at)s AND at < %(end_at)s
ORDER BY at DESC, entity LIMIT %(n)s
