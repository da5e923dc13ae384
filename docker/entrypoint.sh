#!/bin/sh
# Runs a command unless one of the secrets in its environment is empty, short or known to everybody.
#
# Every container of compose.yaml starts through this. A secret that a container does not have is not asked for.
set -eu

shortest=16 # characters

for name in POSTGRES_PASSWORD STUDIES_PASSWORD MLFLOW_DATABASE_PASSWORD PGPASSWORD MLFLOW_AUTH_ADMIN_PASSWORD \
    MLFLOW_DELIVERY_PASSWORD MLFLOW_TRACKING_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY RAY_AUTH_TOKEN; do
    eval "given=\${$name+yes} value=\${$name-}"
    [ "$given" = yes ] || continue
    why=
    [ "${#value}" -ge "$shortest" ] || why="has ${#value} characters, and needs $shortest or more"
    case $(printf %s "$value" | tr '[:upper:]' '[:lower:]') in
        *change-me* | *changeme* | *password* | *example* | *0123456789*) why="is an example that everybody knows" ;;
    esac
    case $value in
        *[![:graph:]]*) why="has a blank or another character that cannot be printed" ;;
    esac
    if [ -n "$why" ]; then
        printf '%s %s: docker/new-env.sh makes an .env with new ones\n' "$name" "$why" >&2
        exit 2
    fi
done

exec "$@"
