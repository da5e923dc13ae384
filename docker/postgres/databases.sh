#!/bin/bash
# Run once, when PostgreSQL's volume is new: a role for the studies and one for MLflow, neither of which can do more
# than use its own databases. psql reads the passwords from the environment, so that `ps` does not show them.
set -euo pipefail

psql --quiet -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv studies_password STUDIES_PASSWORD
\getenv mlflow_password MLFLOW_DATABASE_PASSWORD
CREATE ROLE tune_jobs LOGIN PASSWORD :'studies_password';
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow_password';
CREATE DATABASE studies OWNER tune_jobs;
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE mlflow_auth OWNER mlflow;
REVOKE CONNECT ON DATABASE studies, mlflow, mlflow_auth FROM PUBLIC;
SQL
