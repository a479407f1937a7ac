# SPDX-License-Identifier: EUPL-1.2
# One image for every process; which one it is, is its command (docker-compose.yml). Another package index than pip's
# own: --build-arg PIP_INDEX_URL=...
FROM python:3.13-slim AS build
ARG PIP_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /build
RUN python -m venv /opt/verwijsindex && python -m venv /opt/build
COPY requirements/build.txt requirements/server.txt requirements/
# Every package by its hash, and no package's own build script runs.
RUN /opt/build/bin/pip install --require-hashes --no-deps --only-binary :all: -r requirements/build.txt
RUN /opt/verwijsindex/bin/pip install --require-hashes --no-deps --only-binary :all: -r requirements/server.txt
COPY pyproject.toml README.md LICENSE ./
COPY verwijsindex verwijsindex
RUN /opt/build/bin/hatchling build -t wheel -d dist && /opt/verwijsindex/bin/pip install --no-deps dist/*.whl

FROM python:3.13-slim
COPY --from=build /opt/verwijsindex /opt/verwijsindex
ENV PATH=/opt/verwijsindex/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Where workers write tombstones: an engine gives a new volume its owner from here.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/verwijsindex
# A number, so that an engine can see that it is not root; no password, no home, no shell.
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT []
CMD ["verwijsindex", "--help"]
