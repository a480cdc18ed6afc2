#!/bin/bash
# Run by PostgreSQL's image when its volume is empty: a user for each service, who owns its databases and sees no other.
set -euo pipefail
user() {  # user NAME PASSWORD DATABASE...
  local name=$1 password=$2
  shift 2
  psql --set ON_ERROR_STOP=1 --quiet --username postgres --dbname postgres --set "name=$name" --set "password=$password" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
SQL
  local database
  for database in "$@"; do
    psql --set ON_ERROR_STOP=1 --quiet --username postgres --dbname postgres --set "name=$name" --set "database=$database" <<'SQL'
CREATE DATABASE :"database" OWNER :"name";
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
  done
}
user airflow "${AIRFLOW_DB_PASSWORD:?}" airflow
user mlflow "${MLFLOW_DB_PASSWORD:?}" mlflow mlflow_users
user features "${FEATURES_DB_PASSWORD:?}" features
