-- The audited weeks that end in a period, champions before challengers, oldest first.
SELECT version, lineage, week_at, days, n_known, n_found, n_incidents, precision, median_delay_s, false_alarms_per_day,
       incidents_per_day, expected_incidents_per_day
FROM tsad.v_audit
WHERE dataset = %(dataset)s AND lineage IN (%(lineage)s, %(lineage)s || '/shadow')
  AND week_at + interval '7 days' > %(start_at)s AND week_at < %(end_at)s
ORDER BY lineage, week_at, version
