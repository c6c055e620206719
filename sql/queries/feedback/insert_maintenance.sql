-- A maintenance window.
SELECT tsad.add_maintenance(%(dataset)s, %(start_at)s, %(end_at)s, %(title)s, %(entity)s, %(rrule)s, %(zone)s,
  %(margin_before_s)s, %(margin_after_s)s, %(created_by)s)
