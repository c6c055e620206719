#!/bin/bash
# The first start of an empty server: logins with no more rights than each needs, and three databases.
#   airflow          owns Airflow's metadata, and reaches nothing else
#   airflow_results  owns what workers tell the scheduler through Celery, and reaches nothing else
#   tsad_owner       owns the warehouse, for migrations
#   tsad_pipeline    writes the warehouse through tsad_writer
#   tsad_browser     reads its views and functions through tsad_reader
#   tsad_on_call     asks for the page in Airflow, and gives verdicts, through tsad_operator
# Whoever gives verdicts, labels and maintenance windows by SQL gets a login of their own in tsad_operator:
# CREATE ROLE ada LOGIN PASSWORD '...' IN ROLE tsad_operator.
# As the image does, which reads a script into its own shell where it is not executable.
set -eo pipefail

# Passwords come from the environment by \getenv: on a command line, others could read them.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv airflow AIRFLOW_DB_PASSWORD
\getenv results AIRFLOW_RESULTS_PASSWORD
\getenv owner TSAD_OWNER_PASSWORD
\getenv pipeline TSAD_PIPELINE_PASSWORD
\getenv browser TSAD_BROWSER_PASSWORD
\getenv on_call TSAD_ON_CALL_PASSWORD

CREATE ROLE airflow LOGIN PASSWORD :'airflow';
CREATE ROLE airflow_results LOGIN PASSWORD :'results';
CREATE ROLE tsad_owner LOGIN PASSWORD :'owner';
CREATE ROLE tsad_writer NOLOGIN ADMIN tsad_owner;
CREATE ROLE tsad_reader NOLOGIN ADMIN tsad_owner;
CREATE ROLE tsad_operator NOLOGIN IN ROLE tsad_reader ADMIN tsad_owner;
-- Ends sessions of people for which the pipeline waits.
GRANT pg_signal_backend, pg_read_all_stats TO tsad_owner;
CREATE ROLE tsad_pipeline LOGIN PASSWORD :'pipeline' IN ROLE tsad_writer;
CREATE ROLE tsad_browser LOGIN PASSWORD :'browser' IN ROLE tsad_reader;
CREATE ROLE tsad_on_call LOGIN PASSWORD :'on_call' IN ROLE tsad_operator;

CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE results OWNER airflow_results;
CREATE DATABASE warehouse OWNER tsad_owner;
REVOKE ALL ON DATABASE postgres, template1, airflow, results, warehouse FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE warehouse TO tsad_writer;
GRANT CONNECT ON DATABASE warehouse TO tsad_reader;
SQL
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname warehouse \
  --file "${TSAD_BOUND_LOGINS:-/opt/tsad/bound_logins.sql}"
