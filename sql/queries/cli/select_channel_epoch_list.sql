-- Changes of the sensors of a dataset for people, newest first.
SELECT epoch_id, entity, channel, kind, from_at, scale, "offset", usable_at, n_running_hours, needed_hours, reason, withdrawn_at
FROM tsad.v_channel_epoch WHERE dataset = %(dataset)s ORDER BY epoch_id DESC
