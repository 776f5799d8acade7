# A release names the base by digest: --build-arg NODE_IMAGE=node:24-bookworm-slim@sha256:...
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY proxy proxy
COPY policies policies
COPY recorder recorder
RUN npm run build
COPY policies/packs dist/policies/packs
# What tools and tests need stays behind, and so does the Node that npm brings for machines with an older one.
RUN npm prune --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="portcullis" \
      org.opencontainers.image.description="A layer-7 reverse-proxy sidecar that governs an MCP server" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The file is named for every command, so that `exec ... token create` needs no option.
ENV NODE_ENV=production \
    PORTCULLIS_CONFIG=/etc/portcullis/config.yaml
# A number, so that Kubernetes can see that it is not root; /data is all that is ever written to.
RUN groupadd --gid 10001 portcullis \
 && useradd --uid 10001 --gid 10001 --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin portcullis \
 && install --directory --owner=10001 --group=10001 --mode=0700 /data \
 && install --directory /etc/portcullis
WORKDIR /opt/portcullis
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY LICENSE ./
USER 10001:10001
VOLUME ["/data"]
EXPOSE 8800
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8800/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/opt/portcullis/dist/proxy/cli.js"]
CMD ["serve", "--config", "/etc/portcullis/config.yaml"]
