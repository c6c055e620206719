-- A few groups, machines or channels of a store's list.
SELECT DISTINCT {column} FROM (
{series}
) s WHERE {rows} ORDER BY 1 LIMIT 10
