# The image of every role: `docker run kasane train`, `... coordinator`, `... worker`. `npm run image` builds it, with the packed
# packages of this checkout as its context.
ARG NODE_IMAGE=node:24-slim
FROM ${NODE_IMAGE} AS install
# What npm is told besides, such as --registry.
ARG NPM_FLAGS=
WORKDIR /kasane
COPY *.tgz /tarballs/
RUN npm install --no-audit --no-fund --omit=dev ${NPM_FLAGS} /tarballs/*.tgz \
  # Dawn, 130 MB: there is no GPU in here, and a worker without it says so and uses wasm. npm's cache: nobody installs in here again.
  && rm -rf node_modules/webgpu ~/.npm \
  && mkdir /state && chown 1000:1000 /state

FROM ${NODE_IMAGE}
COPY --from=install /kasane /kasane
# Jobs, checkpoints and weights; the home folder too, so that what is written by default lands there.
COPY --from=install --chown=1000:1000 /state /state
# glibc would keep what is freed in eight arenas a core.
ENV MALLOC_ARENA_MAX=2
ENV HOME=/state NODE_ENV=production KASANE_METRICS_PORT=9464 KASANE_LOG_FORMAT=json
USER 1000:1000
WORKDIR /state
VOLUME /state
# 7420: gRPC. 7421: the page. 9464: metrics, on the container's loopback until KASANE_METRICS_HOST and _TOKEN say otherwise.
EXPOSE 7420 7421 9464
HEALTHCHECK --interval=5s --timeout=10s --start-period=20s --retries=5 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.KASANE_METRICS_PORT + '/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/kasane/node_modules/@kasane/cli/dist/bin.js"]
CMD ["--help"]
