# VoxScope in a container: the app, its encoders and the demo, run by a user who is not root.
#
#     docker build -t voxscope .
#
# On Linux PyPI's torch brings CUDA, gigabytes of it: --build-arg TORCH_INDEX=ADDRESS names PyTorch's index of CPU wheels
# instead. --build-arg EXTRAS=share,onnx,hub,vectors,titanet installs NeMo, too.

FROM python:3.11-slim-bookworm AS wheel
WORKDIR /src
COPY . .
RUN pip install --no-cache-dir hatchling==1.33.0 \
    && python -m hatchling build -t wheel -d /wheel

FROM python:3.11-slim-bookworm
ARG TORCH_INDEX=
ARG EXTRAS=share,onnx,hub,vectors
COPY requirements.txt /tmp/
COPY --from=wheel /wheel /tmp/wheel
# the versions that are tested, as constraints: those may not name extras
RUN sed 's/\[[a-z,]*\]//' /tmp/requirements.txt > /tmp/constraints.txt \
    && pip install --no-cache-dir --prefer-binary --constraint /tmp/constraints.txt \
        ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "$(ls /tmp/wheel/*.whl)[$EXTRAS]" \
    && rm -r /tmp/requirements.txt /tmp/constraints.txt /tmp/wheel \
    && useradd --uid 10001 --create-home voxscope \
    && install --directory --owner voxscope /data /data/workspaces /recordings
USER 10001
# compiled loops are kept where a read-only container may write
ENV XDG_DATA_HOME=/data NUMBA_CACHE_DIR=/tmp/numba PYTHONUNBUFFERED=1
VOLUME /data
WORKDIR /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
ENTRYPOINT ["voxscope"]
CMD ["serve", "--workspaces", "/data/workspaces", "--import-root", "/recordings", "--host", "0.0.0.0", "--headless"]
