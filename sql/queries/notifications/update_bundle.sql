-- Messages that a digest, by its key, says from now on.
UPDATE tsad.notification n SET bundled_into = d.notification_id
FROM tsad.notification d
WHERE d.key = %(key)s AND n.notification_id = ANY(%(notification_ids)s::bigint[])
