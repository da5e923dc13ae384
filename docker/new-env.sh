#!/bin/sh
# Makes docker/.env, or the file that is named, of .env.example, with a new secret in place of every change-me.
# It can be read by its owner alone; one that is there already is left as it is.
set -eu
cd "$(dirname "$0")"
file=${1:-.env}
[ ! -e "$file" ] || { echo "$file is there already: remove it first for new secrets, which the volumes will not know" >&2; exit 2; }
umask 077

secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

while IFS= read -r line; do
    case $line in
        [A-Z]*=change-me) printf '%s=%s\n' "${line%%=*}" "$(secret)" ;;
        *) printf '%s\n' "$line" ;;
    esac
done <.env.example >"$file"
echo "$file" >&2
