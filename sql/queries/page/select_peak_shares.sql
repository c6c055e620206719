-- What carried the error at the peak of an incident and of the incidents of its dataset before it, newest first.
SELECT v.incident_id, v.entity, v.started_at, v.sentence, v.verdict, v.severity, a.channel, a.share, a.actual, a.expected
FROM (
  SELECT i.incident_id, i.dataset, i.entity, i.started_at, i.sentence, i.verdict, i.severity, i.peak_at, i.model_id FROM tsad.v_incident i
  WHERE i.lineage = 'live' AND i.dataset = %(dataset)s AND i.started_at <= %(started_at)s
  ORDER BY i.started_at DESC LIMIT %(n)s) v
JOIN tsad.v_attribution a ON a.dataset = v.dataset AND a.entity = v.entity AND a.at = v.peak_at AND a.model_id = v.model_id AND a.lineage = 'live'
ORDER BY v.started_at DESC, v.incident_id, a.share DESC
