-- Name of the dataset that a change of a sensor is of.
SELECT dataset FROM tsad.v_channel_epoch WHERE epoch_id = %(epoch_id)s
