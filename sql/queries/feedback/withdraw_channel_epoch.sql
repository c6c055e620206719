-- Takes back a change of a sensor.
SELECT tsad.withdraw_channel_epoch(%(epoch_id)s)
