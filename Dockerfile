# One image for every Airflow service of docker-compose.yml. The checkout is at the same place in both stages, since the
# project is installed from it: sql/, third_party/, dags/ and plugins/ lie beside the package.

FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_PROJECT_ENVIRONMENT=/opt/tsad/.venv
RUN pip install --no-cache-dir uv==0.13.9
# For a worker that only scores, 1.9 GB less: docker build --build-arg EXTRAS=
ARG EXTRAS=--all-extras
WORKDIR /opt/tsad
# Dependencies change more rarely than code, so they are a layer of their own.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-cache --no-default-groups $EXTRAS --compile-bytecode --no-install-project
COPY third_party ./third_party
COPY tsad_tasks ./tsad_tasks
COPY devstack ./devstack
RUN uv sync --frozen --no-cache --no-default-groups $EXTRAS --compile-bytecode
COPY sql ./sql
COPY docker ./docker
COPY plugins ./plugins
COPY dags ./dags
RUN python -m compileall -q tsad_tasks devstack plugins dags docker

FROM python:3.12-slim-bookworm
RUN groupadd --gid 10001 tsad \
    && useradd --uid 10001 --gid tsad --create-home --shell /usr/sbin/nologin tsad \
    && install --directory --owner=tsad --group=tsad --mode=0700 \
       /var/lib/tsad /var/lib/tsad/airflow /var/lib/tsad/artifacts /var/lib/tsad/logs
COPY --from=build /opt/tsad /opt/tsad
ENV PATH=/opt/tsad/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/tsad
# tsad, by its number: a host can tell from it that this is not root.
USER 10001:10001
# What any of its programs writes is for this account alone.
ENTRYPOINT ["sh", "-c", "umask 077 && exec \"$0\" \"$@\""]
CMD ["airflow", "version"]
