-- Some series of a store's list, one more than are taken.
SELECT * FROM (
{series}
) s WHERE {rows} ORDER BY grp, entity, channel LIMIT {most}
