#!/usr/bin/env bash
# Tries the services end to end, under a project of its own with new secrets: builds the image, starts everything,
# trains a small sweep, looks at what came out, backs up, loses all, restores, goes on, and removes it again.
#
#   DOCKER=docker    the container program
#   ON_HOST=         what a command begins with that is to reach the host's published ports
#   SEND=launch      how the sweep is sent: `launch` in the head, or `submit`, as a job
#   KEEP=            anything: leave the services as they are
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-tune-jobs-try} COMPOSE_PROFILES=cpu DOCKER=${DOCKER:-docker}
scratch=$(mktemp -d)
export ENV_FILE=$scratch/env
sweep=(digits-mlp --epochs 3)
services=(postgres mlflow head worker-cpu)

say() { printf '== %s (%s s)\n' "$*" "$SECONDS"; }
fail() { printf 'try.sh: %s\n' "$*" >&2; exit 1; }
compose() { $DOCKER compose --env-file "$ENV_FILE" -f "$here/compose.yaml" "$@"; }
value() { sed -n "s/^$1=//p" "$ENV_FILE"; }

finish() {
    if [ -z "${KEEP:-}" ]; then compose down -v >/dev/null 2>&1 || true; rm -rf "$scratch"; else echo "kept: $scratch"; fi
}

refused() { # refused ENV_FILE WORDS
    if (ENV_FILE=$1 compose run --rm check) >"$scratch/refused" 2>&1; then fail "$2 did not stop it"; fi
    grep -q "new-env.sh" "$scratch/refused" || fail "$2: $(cat "$scratch/refused")"
}

healthy() {
    local service end=$((SECONDS + 240)) well
    for service in "${services[@]}"; do
        well=(python /opt/tune-jobs/health.py)
        [ "$service" != postgres ] || well=(pg_isready -h 127.0.0.1 -U postgres)
        until compose exec -T "$service" "${well[@]}" >/dev/null 2>&1; do
            [ $SECONDS -lt $end ] || { compose logs "$service" | tail -n 40 >&2; fail "$service is not healthy"; }
            sleep 2
        done
    done
}

answer() { # answer CODE WORDS CURL_ARGUMENTS...: what the host sees of a published port
    local got
    got=$(${ON_HOST:-} curl -s -o /dev/null -w '%{http_code}' "${@:3}") || true
    [ "$got" = "$1" ] || fail "$2: $got, not $1"
    printf '%-60s %s\n' "$2" "$got"
}

train() { # train TRIALS
    if [ "${SEND:-launch}" = submit ]; then
        compose exec -T -e TUNE_JOBS_ADDRESS=http://127.0.0.1:8265 head \
            sh -c "tune-jobs submit ${sweep[*]} --trials $1 --again && tune-jobs logs ${sweep[0]} -f"
    else
        compose exec -T head tune-jobs launch "${sweep[@]}" --trials "$1" --address auto
    fi
}

runs() { # what MLflow has of the study: its trials' runs and the files of the study's own run
    compose exec -T head python - <<'PYTHON'
import mlflow

runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
parents = {run.data.tags.get("mlflow.parentRunId") for run in runs} - {None}
files = [file.path for run in parents for file in mlflow.MlflowClient().list_artifacts(run, "leaderboard")]
print(len(runs) - len(parents), *sorted(file.rpartition("/")[2] for file in files))
PYTHON
}

board() { compose exec -T head tune-jobs leaderboard digits-mlp --format csv; }

trap finish EXIT
"$here/new-env.sh" "$ENV_FILE"

say "the image"
compose build check

say "secrets that everybody knows, or that are missing, stop it"
refused "$here/.env.example" "the example's secrets"
grep -v '^RAY_AUTH_TOKEN=' "$ENV_FILE" >"$scratch/missing"
refused "$scratch/missing" "a missing token"
sed 's/^MLFLOW_ADMIN_PASSWORD=.*/MLFLOW_ADMIN_PASSWORD=password1234/' "$ENV_FILE" >"$scratch/known"
refused "$scratch/known" "the password that MLflow shipped"

say "the services"
compose up -d >"$scratch/up" 2>&1 || { cat "$scratch/up" >&2; fail "they did not start"; }
healthy
say "all are healthy"
[ "$(compose exec -T head bash -lc 'command -v ray')" = /opt/venv/bin/ray ] || fail "a login shell finds no ray"

mlflow=http://127.0.0.1:$(value MLFLOW_PORT) dashboard=http://127.0.0.1:$(value DASHBOARD_PORT)
answer 200 "MLflow: health" "$mlflow/health"
answer 401 "MLflow without a password: page" "$mlflow/"
answer 401 "MLflow without a password: API" "$mlflow/api/2.0/mlflow/experiments/search?max_results=1"
answer 401 "MLflow without a password: artifacts" "$mlflow/api/2.0/mlflow-artifacts/artifacts"
answer 401 "MLflow with the password it once shipped" -u admin:password1234 "$mlflow/"
answer 403 "MLflow by a name that is not its own" -H "Host: elsewhere.example" "$mlflow/"
answer 200 "MLflow with the password" -K - "$mlflow/api/2.0/mlflow/experiments/search?max_results=1" \
    <<<"user = \"$(value MLFLOW_ADMIN_NAME):$(value MLFLOW_ADMIN_PASSWORD)\""
answer 401 "Ray without a token: jobs" "$dashboard/api/jobs/"
answer 403 "Ray with a wrong token: jobs" -H "Authorization: Bearer 0000" "$dashboard/api/jobs/"
answer 200 "Ray with the token: jobs" -H @- "$dashboard/api/jobs/" <<<"Authorization: Bearer $(value RAY_AUTH_TOKEN)"

say "a sweep"
train 4
[ "$(compose exec -T head sh -c 'tail -n +2 exports/digits-mlp/leaderboard.csv | wc -l')" -eq 4 ] || fail "no export"
board >"$scratch/before"
[ "$(tail -n +2 "$scratch/before" | wc -l)" -eq 4 ] || fail "not 4 configurations: $(cat "$scratch/before")"
runs | tee "$scratch/runs"
grep -q '^4 best.yaml .*leaderboard.csv' "$scratch/runs" || fail "MLflow lacks something"

say "no secret is on a command line or in a log"
for service in "${services[@]}"; do
    compose exec -T "$service" sh -c 'cat /proc/[0-9]*/cmdline' 2>/dev/null | tr '\0' '\n' >>"$scratch/seen" || true
    compose logs "$service" >>"$scratch/seen" 2>&1
done
compose exec -T head sh -c 'cat /tmp/ray/session_latest/logs/*.log exports/digits-mlp/*' >>"$scratch/seen"
for name in $(grep -E '^[A-Z_]*(PASSWORD|TOKEN|KEY)=' "$ENV_FILE" | cut -d= -f1); do
    ! grep -qF "$(value "$name")" "$scratch/seen" || fail "$name can be seen"
done

say "a backup, everything lost, and restored"
"$here/backup.sh" "$scratch/backup"
compose down -v >/dev/null 2>&1
"$here/restore.sh" "$scratch/backup"
compose up -d >"$scratch/up" 2>&1 || { cat "$scratch/up" >&2; fail "they did not start again"; }
healthy
board >"$scratch/after"
cmp "$scratch/before" "$scratch/after" || fail "the leaderboard is another one"
train 6
runs | tee "$scratch/runs"
grep -q '^6 ' "$scratch/runs" || fail "MLflow lacks something after the restore"
say "done"
