-- Some rows of a table, the newest ones where an index makes that cheap.
SELECT {columns} FROM {table} {order} LIMIT {most}
