-- Messages, by their keys, that a digest says from now on.
UPDATE tsad.notification n SET bundled_into = d.notification_id
FROM tsad.notification d
WHERE d.key = %(key)s AND n.key = ANY(%(keys)s::text[]) AND n.bundled_into IS NULL AND n.delivered_at IS NULL AND n.failed_at IS NULL
