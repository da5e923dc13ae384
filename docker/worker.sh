#!/bin/bash
# Joins the Ray cluster at RAY_HEAD with WORKER_CPUS CPUs and WORKER_GPUS GPUs, or `all` that the container sees.
#
# Docker gives each of several containers that ask for one GPU the same one. So all workers of a machine see all of its
# GPUs, and each takes as many as it is to have: it holds a lock on a file of theirs in /var/lib/gpus, a volume that the
# machine's workers share, until it ends.
set -euo pipefail

claim() { # claim N: sets `claimed` to the identities of N GPUs that no other worker of this machine has
    local gpu file
    claimed=()
    while read -r gpu; do
        [ "${#claimed[@]}" -lt "$1" ] || break
        exec {file}>"${GPU_LOCKS:-/var/lib/gpus}/$gpu"
        if flock --nonblock "$file"; then claimed+=("$gpu"); else exec {file}>&-; fi
    done < <(nvidia-smi --query-gpu=uuid --format=csv,noheader)
    if [ "${#claimed[@]}" -lt "$1" ]; then
        echo "WORKER_GPUS=$1, and only ${#claimed[@]} GPUs are free: start fewer workers, or give each fewer" >&2
        exit 2
    fi
}

options=()
[ -z "${WORKER_CPUS:-}" ] || options+=(--num-cpus="$WORKER_CPUS")
case ${WORKER_GPUS:-all} in
    all) ;;
    0) options+=(--num-gpus=0) ;;
    *[!0-9]*)
        echo "WORKER_GPUS is a number or 'all', not '$WORKER_GPUS'" >&2
        exit 2
        ;;
    *)
        claim "$WORKER_GPUS"
        CUDA_VISIBLE_DEVICES=$(IFS=,; echo "${claimed[*]}")
        export CUDA_VISIBLE_DEVICES
        options+=(--num-gpus="$WORKER_GPUS")
        ;;
esac
exec ray start --block --disable-usage-stats --address="${RAY_HEAD:?the address of the head, such as head:6379}" \
    --object-store-memory="${RAY_OBJECT_STORE_BYTES:-1000000000}" "${options[@]}" "$@"
