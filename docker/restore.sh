#!/usr/bin/env bash
# Puts back what docker/backup.sh wrote, in place of what is there: docker/restore.sh FOLDER
#
# Loads the databases beside those that are there first: a dump that is damaged costs nothing. Then it
# stops whoever writes, and starts nothing again: `docker compose -f docker/compose.yaml up -d` does, and then
# `tune-jobs sync STUDY` delivers to MLflow what it lacks.
#
# DOCKER is the container program (docker), ENV_FILE what compose reads (docker/.env).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(cd "${1:?the folder of a backup: docker/restore.sh FOLDER}" && pwd)

compose() { ${DOCKER:-docker} compose --env-file "${ENV_FILE:-$here/.env}" -f "$here/compose.yaml" "$@"; }

load() { # load DATABASE OWNER: beside the one that is there
    echo "$1" >&2
    compose exec -T postgres dropdb --username=postgres --if-exists --force "$1_restored"
    compose exec -T postgres createdb --username=postgres --owner="$2" "$1_restored"
    compose exec -T postgres psql --username=postgres --quiet \
        --command="REVOKE CONNECT ON DATABASE $1_restored FROM PUBLIC"
    compose exec -T postgres pg_restore --username=postgres --exit-on-error --no-owner --role="$2" \
        --dbname="$1_restored" <"$folder/$1.dump"
}

put() { # put DATABASE: in place of the one that is there
    compose exec -T postgres dropdb --username=postgres --if-exists --force "$1"
    compose exec -T postgres psql --username=postgres --quiet \
        --command="ALTER DATABASE $1_restored RENAME TO $1"
}

unpack() { # unpack SERVICE PATH NAME
    echo "$3" >&2
    compose run --rm --no-deps -T "$1" sh -c "find $2 -mindepth 1 -maxdepth 1 ! -name data -exec rm -r {} + &&
        tar --extract --gzip --directory=$2" <"$folder/$3.tar.gz"
}

(cd "$folder" && sha256sum --quiet --check SHA256SUMS)
gzip --test "$folder/mlflow.tar.gz" "$folder/home.tar.gz"
compose up -d postgres
until compose exec -T postgres pg_isready --host=127.0.0.1 --username=postgres --quiet; do sleep 1; done
load studies tune_jobs
load mlflow mlflow
load mlflow_auth mlflow
compose stop head mlflow
put studies
put mlflow
put mlflow_auth
unpack mlflow /var/lib/mlflow mlflow
unpack head /var/lib/tune-jobs home
