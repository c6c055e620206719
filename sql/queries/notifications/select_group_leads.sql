-- Of groups that are told the alert under which they are: the first of those of which one still stood when the next was opened.
WITH RECURSIVE told AS (
  SELECT a.alert_id, a.thread, a.group_id, a.opened_at FROM tsad.alert a
  WHERE a.alert_id = ANY(%(alert_ids)s::bigint[]) AND a.group_id IS NOT NULL
  UNION
  SELECT o.alert_id, o.thread, o.group_id, o.opened_at FROM told p JOIN tsad.alert o USING (group_id)
  WHERE o.alert_id < p.alert_id AND (o.state <> 'withdrawn' OR o.updated_at >= p.opened_at)
)
SELECT DISTINCT ON (t.group_id) t.group_id, t.alert_id, t.thread::text, g.headline
FROM told t LEFT JOIN tsad.incident_group g USING (group_id)
ORDER BY t.group_id, t.alert_id
