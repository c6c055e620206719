-- What was found wrong with sensors since a moment, by machine and channel.
SELECT entity, channel, verdict, count(*) AS n_hours, min(hour_at) AS first_at, max(hour_at) + interval '1 hour' AS last_at, max(detail) AS detail
FROM tsad.v_quality WHERE dataset = %(dataset)s AND hour_at >= %(from_at)s AND hour_at < %(to_at)s
GROUP BY entity, channel, verdict ORDER BY max(hour_at) DESC, n_hours DESC, entity, channel LIMIT %(n)s
