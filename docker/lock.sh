#!/usr/bin/env bash
# Makes the locks that the image is installed from, of pyproject.toml: docker/lock.sh [--upgrade]
#
# They hold exact versions with the hashes of their files, and no address: whatever registry pip is set up for may serve
# them. Without --upgrade what is locked stays, as far as pyproject.toml allows. Needs uv, or its path in UV.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() { # compile FILE ARGUMENTS...
    "${UV:-uv}" pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 --only-binary :all: \
        --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command docker/lock.sh \
        --output-file "docker/requirements-$1.txt" "${@:2}" >/dev/null
}

upgrade=("$@")
compile cpu pyproject.toml --extra server "${upgrade[@]}"
# held to the versions of the first: head and workers must not differ
compile gpu pyproject.toml --extra server --extra gpu --constraint docker/requirements-cpu.txt "${upgrade[@]}"
# what pyproject.toml's [build-system] requires
python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' |
    compile build - "${upgrade[@]}"
