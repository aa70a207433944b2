# The offline job in a container: data, training, export; and the demo of the local stack.
#   docker build -t surematch-training -f deploy/training.Dockerfile .
#   docker run -v $PWD/data:/data surematch-training training fit --data /data/prepared --out /data/checkpoint
# TORCH_INDEX is asked for torch besides PyPI, whose torch for Linux brings CUDA; empty: PyPI alone.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS packages
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /build
RUN python -m venv /opt/venv
COPY constraints/ constraints/
RUN /opt/venv/bin/pip install --no-cache-dir --constraint constraints/cpu.txt pip hatchling editables
RUN /opt/venv/bin/pip install --no-cache-dir --constraint constraints/cpu.txt \
    ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} torch
# the project's packages without its code, so that a change of the code installs nothing anew
COPY pyproject.toml LICENSE ./
COPY service/contract/release.py service/contract/
RUN mkdir training export && touch README.md \
    && /opt/venv/bin/pip install --no-cache-dir --constraint constraints/cpu.txt \
       --no-build-isolation '.[training,export,cpu]' httpx \
    && /opt/venv/bin/pip uninstall --yes surematch hatchling editables pip

FROM ${BASE_IMAGE}
RUN useradd --system --user-group --uid 10001 --no-create-home --home-dir /tmp surematch \
    && install -d -o surematch -g surematch /bundles
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY service/ service/
COPY training/ training/
COPY export/ export/
COPY client/surematch_client/ client/surematch_client/
COPY deploy/__init__.py deploy/
COPY deploy/demo/ deploy/demo/
USER 10001
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONPATH=/app:/app/client \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=PASSIVE
# it answers nobody: what runs in it says by its exit code how it went
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m"]
CMD ["training", "--help"]
# last, because they differ from build to build
ARG BASE_IMAGE
ARG RELEASE=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="surematch training" \
      org.opencontainers.image.description="Training and export of Surematch, and the demo of its local stack" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${RELEASE}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
