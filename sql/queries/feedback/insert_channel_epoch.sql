-- A person's word on a changed sensor.
SELECT tsad.set_channel_epoch(%(dataset)s, %(entity)s, %(channel)s, %(from_at)s, %(kind)s, %(reason)s, %(scale)s, %(offset)s, %(said_by)s)
