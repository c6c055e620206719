#!/bin/sh
# Lints docker-compose.yml, Dockerfile and the scripts here, without a container engine. Run from the project's folder;
# `make lint-compose` does. A linter that is not installed is named at the end, and counts as a failure.
set -u
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python=${PYTHON:-.venv/bin/python}
failed=
missing=

run() {
  name=$1
  shift
  if "$@"; then echo "$name: fine"; else failed="$failed $name"; fi
}

if command -v npx >/dev/null; then
  run dclint npx --yes --loglevel=error dclint@3 --max-warnings 0 docker-compose.yml
else
  missing="$missing\n  dclint: apt-get install npm"
fi

if command -v docker-compose >/dev/null; then
  "$python" -m devstack.compose_secrets "$scratch/env" >"$scratch/said"
  run docker-compose docker-compose --env-file "$scratch/env" config --quiet
else
  missing="$missing\n  docker-compose: apt-get install docker-compose"
fi

hadolint=$(dirname "$python")/hadolint
if [ -x "$hadolint" ]; then
  run hadolint "$hadolint" Dockerfile
else
  missing="$missing\n  hadolint: .tools/bin/uv sync --frozen --compile-bytecode --all-groups --all-extras"
fi

run shell bash -n docker/postgres_init.sh
run shell sh -n docker/redis.sh

[ -z "$missing" ] || printf "Expected all linters to be installed. Missing:%b\n" "$missing" >&2
[ -z "$failed" ] || echo "Failed:$failed" >&2
[ -z "$missing$failed" ]
