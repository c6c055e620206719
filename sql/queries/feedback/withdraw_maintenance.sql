-- Takes back a maintenance window.
SELECT tsad.withdraw_maintenance(%(window_id)s)
