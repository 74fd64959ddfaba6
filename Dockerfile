# hopgate: one image for the sidecar and for every other command.
#   docker build -t hopgate .
#   docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges \
#     -v ./agent:/etc/hopgate:ro -v hopgate-state:/var/lib/hopgate hopgate
# For a build that can be repeated, name the base by digest: --build-arg NODE_IMAGE=node:26-slim@sha256:…
ARG NODE_IMAGE=node:26-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# No scripts: the only package that has one brings a Node of its own, and this image has that already.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY build build
COPY src src
RUN npm run build

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="hopgate" \
      org.opencontainers.image.description="The sidecar that trusts no hop" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
# glibc: large buffers go back to the system when they are free, instead of leaving holes for as long as the process lives.
ENV MALLOC_MMAP_THRESHOLD_=131072
# What isn't there can't be run: the image needs node, and no package manager.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn* \
 && install -d -o 65532 -g 65532 -m 0700 /var/lib/hopgate \
 && ln -s /app/bin/hopgate.js /usr/local/bin/hopgate
WORKDIR /app
# With what it takes from other people's packages in it; third-party.cdx.json there names them, for scanners.
COPY --from=build /src/dist dist
COPY package.json LICENSE ./
COPY --chmod=0755 bin bin
# What V8 makes of the sidecar's code, made once: a fifth less CPU at each start. It is root's, like the code, so that nobody who
# runs as the sidecar can change what the next one does; Node names the folder by the user who reads it.
RUN NODE_COMPILE_CACHE=/app/compile-cache node --input-type=module -e "for (const one of fs.readdirSync('/app/dist')) if (/^(cli-sidecar|sidecar-file-source|sidecar-verifier-source)-/.test(one)) await import('/app/dist/' + one)" \
 && for one in compile-cache/*-0; do mv "$one" "${one%-0}-65532"; done
ENV NODE_COMPILE_CACHE=/app/compile-cache
# A number, so that runAsNonRoot can be checked without a passwd file. Everything above belongs to root.
USER 65532:65532
# Configuration: /etc/hopgate/sidecar.yaml, read-only. State: stateDirectory: /var/lib/hopgate.
VOLUME ["/var/lib/hopgate"]
EXPOSE 14443 14020
# HOPGATE_HEALTH_PORT is for a health.listen on another port. Alive, not ready: readiness is the orchestrator's question.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.HOPGATE_HEALTH_PORT ?? 14020}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["hopgate"]
CMD ["sidecar", "--config", "/etc/hopgate/sidecar.yaml"]
