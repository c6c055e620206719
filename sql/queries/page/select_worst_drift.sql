-- Channels that lie farthest from the training range in the newest week that was measured.
SELECT entity, channel, week_at, psi, drift, shift, missing_share FROM tsad.v_drift
WHERE dataset = %(dataset)s AND lineage = 'live'
  AND week_at = (SELECT max(week_at) FROM tsad.v_drift WHERE dataset = %(dataset)s AND lineage = 'live')
ORDER BY psi DESC NULLS LAST LIMIT %(n)s
