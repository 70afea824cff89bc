#!/usr/bin/env bash
# Everything that is measured on a GPU, one table: see README.md beside this file. Arguments go to `python -m benchmarks.gpu`.
set -euo pipefail
cd "$(dirname "$0")/../.."
wheels=benchmarks/gpu/.wheels
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
python=${PYTHON:-python3}
for wheel in "$wheels"/*.whl; do
  if [ -e "$wheel" ]; then "$python" -m zipfile -e "$wheel" "$site"; fi
done
export PYTHONPATH="$PWD:$site${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
"$python" -m benchmarks.gpu "$@"
