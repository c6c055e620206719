-- The dataset that a maintenance window belongs to.
SELECT dataset FROM tsad.v_maintenance WHERE window_id = %(window_id)s
