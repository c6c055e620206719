-- Retention: settled messages of alerts that ended before a moment, and digests made before it.
DELETE FROM tsad.notification n
WHERE n.dataset_id = %(dataset_id)s AND (n.delivered_at IS NOT NULL OR n.failed_at IS NOT NULL)
  AND CASE WHEN n.alert_id IS NULL THEN n.created_at < %(before_at)s
           ELSE EXISTS (SELECT FROM tsad.alert a WHERE a.alert_id = n.alert_id AND a.state <> 'open' AND a.end_at < %(before_at)s) END
