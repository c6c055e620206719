-- Groups of a store's list, the largest first.
SELECT grp, count(DISTINCT entity)::int, count(*)::int FROM (
{series}
) s GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT 1000
