-- What was learned of a changed sensor.
UPDATE tsad.channel_epoch
SET scale = %(scale)s, "offset" = %(offset)s, usable_at = %(usable_at)s, n_running_hours = %(n_running_hours)s,
  needed_hours = %(needed_hours)s, learned_from = %(learned_from)s
WHERE epoch_id = %(epoch_id)s AND NOT declared
  AND (scale, "offset", usable_at, n_running_hours, needed_hours, learned_from)
    IS DISTINCT FROM (%(scale)s::float8, %(offset)s::float8, %(usable_at)s::timestamptz, %(n_running_hours)s::float8,
      %(needed_hours)s::float8, %(learned_from)s::bigint)
