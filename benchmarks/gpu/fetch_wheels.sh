#!/usr/bin/env bash
# Fetch what a machine with torch, numpy, pandas, pyarrow, scipy, scikit-learn, safetensors and transformers still lacks, into
# benchmarks/gpu/.wheels, which git ignores: pure Python, 0.5 MB. The first line is needed, the second is the peer sparsify.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || python=python3
rm -rf benchmarks/gpu/.wheels
"$python" -m pip --disable-pip-version-check download --quiet --no-deps --only-binary=:all: --dest benchmarks/gpu/.wheels \
  "$(grep '^jaxtyping==' requirements.txt)" wadler-lindig==0.1.8 tqdm==4.70.1 \
  eai-sparsify==1.3.3 simple-parsing==0.1.9 docstring-parser==0.18.0 natsort==8.4.0 einops==0.8.2
ls -l benchmarks/gpu/.wheels
