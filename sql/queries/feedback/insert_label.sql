-- A known anomaly that a person or a file names.
SELECT tsad.add_label(%(dataset)s, %(entity)s, %(start_at)s, %(end_at)s, %(kind)s, %(note)s, %(origin)s)
