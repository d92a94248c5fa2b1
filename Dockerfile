# An image of the ready-made server. docs/containers.md says how to run it.
ARG NODE_IMAGE=node:24-bookworm-slim
FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
# Scripts of packages would install another Node.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm pack && mv agent-vm-*.tgz agent-vm.tgz

FROM ${NODE_IMAGE}

# VMs see /usr of this image: programs for agents go here. bash, perl, util-linux and coreutils are part of Debian already.
ARG PACKAGES="curl git"
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates mount tini ${PACKAGES} \
  && apt-get clean && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/agent-vm
COPY --from=build /build/agent-vm.tgz ./
RUN npm install --no-audit --no-fund ./agent-vm.tgz && npm cache clean --force

# The ordinary user of the server and of all VMs.
RUN install -d -m 0700 -o 1000 -g 1000 /var/lib/agent-vm
USER 1000:1000
VOLUME /var/lib/agent-vm
ENV HOME=/tmp NODE_ENV=production HOST=0.0.0.0 PORT=6420 AGENT_VM_DATA=/var/lib/agent-vm
EXPOSE 6420
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["node", "--eval", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/usr/bin/tini", "--", "node_modules/.bin/agent-vm"]
CMD ["serve"]
