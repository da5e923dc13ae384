#!/usr/bin/env bash
# Writes the databases and volumes of the running services into a new folder: docker/backup.sh FOLDER
#
# Sweeps may go on meanwhile. The studies come last: whatever MLflow is then said to lack, `tune-jobs sync` delivers.
# Data sets are left out, they are fetched or drawn again; so are the secrets, docker/.env, which belong elsewhere.
#
# DOCKER is the container program (docker), ENV_FILE what compose reads (docker/.env).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:?a new folder: docker/backup.sh FOLDER}
umask 077
mkdir "$folder"

compose() { ${DOCKER:-docker} compose --env-file "${ENV_FILE:-$here/.env}" -f "$here/compose.yaml" "$@"; }

dump() { # dump DATABASE
    echo "$1" >&2
    compose exec -T postgres pg_dump --username=postgres --format=custom "$1" >"$folder/$1.dump"
}

pack() { # pack SERVICE PATH NAME: tar answers 1 where a file changed meanwhile, which is as good a copy as any
    echo "$3" >&2
    compose exec -T "$1" tar --create --gzip --exclude=./data --directory="$2" . >"$folder/$3.tar.gz" || [ $? = 1 ]
    gzip --test "$folder/$3.tar.gz"
}

dump mlflow_auth
dump mlflow
pack mlflow /var/lib/mlflow mlflow
pack head /var/lib/tune-jobs home
dump studies
(cd "$folder" && sha256sum -- * >SHA256SUMS)
