-- Some series of a store's list, one more than are taken; one that is in several groups once, with the first of them.
SELECT * FROM (
  SELECT DISTINCT ON ({columns}) * FROM (
{series}
  ) s WHERE {rows} ORDER BY {columns}, grp
) s ORDER BY grp, entity, channel LIMIT {most}
