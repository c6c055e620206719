-- A challenger beside its champion in a range: hours and steps that both have scored, where they agree, what each flags, the last hour.
SELECT count(DISTINCT hour_at) AS n_hours, coalesce(sum(n_paired), 0)::bigint AS n_paired, coalesce(sum(n_agreed), 0)::bigint AS n_agreed,
       coalesce(sum(n_challenger_flags), 0)::bigint AS n_challenger_flags, coalesce(sum(n_champion_flags), 0)::bigint AS n_champion_flags,
       max(hour_at) AS last_hour_at
FROM tsad.v_shadow
WHERE dataset = %(dataset)s AND lineage = %(lineage)s AND challenger_version = %(version)s AND n_paired > 0
  AND hour_at >= %(start_at)s AND hour_at < %(end_at)s
