-- Lets the pipeline's login read a table of the plant.
GRANT USAGE ON SCHEMA {schema} TO {reader};
GRANT SELECT ON {schema}.{table} TO {reader};
