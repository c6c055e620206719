-- Messages for the outbox; what is in it already stays as it is, but leaves sooner if it need not wait any longer.
INSERT INTO tsad.notification AS t (dataset_id, alert_id, news_id, silence_id, episode_id, trouble_id, event, key, medium, connection, address, payload, held_until)
SELECT %(dataset_id)s::int, u.alert_id, u.news_id, u.silence_id, u.episode_id, u.trouble_id, u.event, u.key, u.medium, u.connection, u.address, u.payload::jsonb, u.held_until
FROM unnest(%(alert_id)s::bigint[], %(news_id)s::bigint[], %(silence_id)s::bigint[], %(episode_id)s::bigint[], %(trouble_id)s::bigint[], %(event)s::text[], %(key)s::text[], %(medium)s::text[],
  %(connection)s::text[], %(address)s::text[], %(payload)s::text[], %(held_until)s::timestamptz[])
  WITH ORDINALITY AS u(alert_id, news_id, silence_id, episode_id, trouble_id, event, key, medium, connection, address, payload, held_until, n)
ORDER BY u.n
ON CONFLICT (key) DO UPDATE SET held_until = EXCLUDED.held_until
  WHERE t.held_until > coalesce(EXCLUDED.held_until, '-infinity') AND t.delivered_at IS NULL AND t.failed_at IS NULL AND t.bundled_into IS NULL
