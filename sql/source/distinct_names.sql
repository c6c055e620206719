-- Different values of a column, one seek in its index for each.
WITH RECURSIVE found AS (
  (SELECT {column} AS name FROM {table} WHERE {column} IS NOT NULL ORDER BY 1 LIMIT 1)
  UNION ALL
  SELECT (SELECT t.{column} FROM {table} t WHERE t.{column} > found.name ORDER BY 1 LIMIT 1) FROM found WHERE found.name IS NOT NULL
)
SELECT name::text FROM found WHERE name IS NOT NULL LIMIT {most}
