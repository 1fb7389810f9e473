ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src

# First what changes seldom, so that a change of the code alone installs nothing again.
# The second environment, the one that is shipped, has no pip: the first one's installs into it.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /build && /build/bin/python -m pip install --quiet --require-hashes -r requirements-build.lock
RUN python -m venv --without-pip /opt/evenkeel
RUN /build/bin/python -m pip --python /opt/evenkeel/bin/python install --quiet --no-compile --require-hashes -r requirements.lock

COPY LICENSE README.md pyproject.toml ./
COPY deploy ./deploy
COPY examples ./examples
COPY sidecar_templates ./sidecar_templates
COPY webhook ./webhook
RUN /build/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /build/wheels .
RUN /build/bin/python -m pip --python /opt/evenkeel/bin/python install --quiet --no-compile --no-deps --no-index /build/wheels/*.whl

# Nothing can be written at run time, so the bytecode is made now, and never compared with its source again.
RUN /opt/evenkeel/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/evenkeel/lib

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="evenkeel" \
      org.opencontainers.image.description="Even load on every gRPC backend: gives Pods an Envoy sidecar" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/evenkeel/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --from=builder /opt/evenkeel /opt/evenkeel
# By number, so that the kubelet can see for itself that this is not root.
USER 65532:65532
EXPOSE 10250
ENTRYPOINT ["evenkeel"]
CMD ["serve"]
