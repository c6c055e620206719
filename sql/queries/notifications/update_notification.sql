-- What came of an attempt to deliver a message, and what was bundled into it.
UPDATE tsad.notification
SET attempts = attempts + 1, n_refused = %(n_refused)s, delivered_at = %(delivered_at)s, failed_at = %(failed_at)s,
    next_attempt_at = coalesce(%(next_attempt_at)s, next_attempt_at), last_error = %(last_error)s
WHERE notification_id = %(notification_id)s OR bundled_into = %(notification_id)s
