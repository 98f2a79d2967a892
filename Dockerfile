# docker build --build-arg COMMIT=$(git describe --always --dirty --tags) -t llm-proxy .
# scripts/image.py runs these very steps without an engine.
FROM debian:12-slim AS build
WORKDIR /src
# The compiler and libraries first: that layer changes when the list of packages does.
COPY scripts/build.sh scripts/
RUN scripts/build.sh --package --install-only
COPY . .
ARG COMMIT=
RUN echo "$COMMIT" >COMMIT && scripts/package.sh

FROM debian:12-slim
COPY --from=build /src/build/package/ /tmp/package/
# The package knows which libraries it needs. ca-certificates: for https upstreams.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates /tmp/package/llm-proxy_*.deb && \
    rm -rf /var/lib/apt/lists/* /tmp/package
# A container that listens on its loopback alone would be no use; with it the default key is refused.
ENV LLM_PROXY__HOST=0.0.0.0
# By number: that is how Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 8002
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["llm-proxy", "health"]
ENTRYPOINT ["llm-proxy"]
