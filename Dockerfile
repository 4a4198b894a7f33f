# The base is pinned by digest. Where no image registry is reached, hand in another Python 3.11 to 3.13 on
# Debian: --build-arg BASE_IMAGE=... (or make image BASE_IMAGE=...). The torch wheel brings its own CUDA
# libraries, so a slim base is enough; the host gives the driver (580 or newer) through the NVIDIA runtime:
#
#   docker run --rm --gpus all -v "$PWD/data:/data" -v "$PWD/runs:/app/runs" -v "$PWD/results:/app/results" repro:0.1.0
#
# --user "$(id -u):$(id -g)" makes what it writes there yours.
ARG BASE_IMAGE=python:3.12.11-slim-bookworm@sha256:519591d6871b7bc437060736b9f7456b8731f1499a57e22e6c285135ae657bf7
FROM ${BASE_IMAGE}

# gcc, g++, libc6-dev: Triton compiles C and torch.compile C++ at run time. git: DVC imports it. tini: signals reach
# every process of a stage. No versions: Debian's archive keeps only the newest, a pin would break the build.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ gcc git libc6-dev make tini \
 && rm -rf /var/lib/apt/lists/*

# The user and the folders it writes to; open to any other uid that the container may be run as. There is no
# .git in the image: DVC is told so.
RUN useradd --uid 1000 --create-home repro \
 && mkdir -p /app /data /etc/dvc \
 && printf '[core]\n    no_scm = true\n    analytics = false\n' > /etc/dvc/config \
 && chmod a+rwx /home/repro /app /data

# Dependencies before code: an edit of the code leaves this layer, the large one, as it is.
WORKDIR /app
COPY requirements-uv.lock requirements.lock ./
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-uv.lock \
 && /opt/venv/bin/uv pip sync --no-cache --python /opt/venv/bin/python --compile-bytecode \
      --require-hashes --build-constraints requirements.lock requirements.lock

# VENV_READY: make takes this environment instead of building its own.
ENV VENV=/opt/venv \
    VENV_READY=1 \
    PATH=/opt/venv/bin:$PATH \
    HOME=/home/repro \
    USER=repro \
    PYTHONUNBUFFERED=1 \
    REPRO_DATA=/data \
    DVC_GLOBAL_CONFIG_DIR=/etc/dvc \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

COPY . .
RUN uv pip install --no-cache --python /opt/venv/bin/python --no-build-isolation --no-deps -e . \
 && mkdir -p runs results \
 && chmod -R a+rwX /app

USER 1000
VOLUME ["/data", "/app/runs", "/app/results"]
ENTRYPOINT ["tini", "-g", "--"]
CMD ["make", "reproduce"]
