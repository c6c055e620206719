-- Retention: alerts that ended before a moment and have no message left.
DELETE FROM tsad.alert a
WHERE a.dataset_id = %(dataset_id)s AND a.state <> 'open' AND a.end_at < %(before_at)s
  AND NOT EXISTS (SELECT FROM tsad.notification n WHERE n.alert_id = a.alert_id)
