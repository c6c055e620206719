-- A schema for the plant's tables, which the pipeline's login may only read.
CREATE SCHEMA plant;
GRANT USAGE ON SCHEMA plant TO {reader};
ALTER DEFAULT PRIVILEGES IN SCHEMA plant GRANT SELECT ON TABLES TO {reader};
