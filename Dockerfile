# The one image of all Tracecar programs. Runs as uid 1337, the id that capture rules leave alone.
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.mjs scripts/bundle.mjs scripts/
COPY src src
RUN node scripts/build.mjs && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-bookworm-slim
# For `tracecar iptables apply`, which an init container runs as root.
RUN apt-get update && apt-get install -y --no-install-recommends iptables iproute2 && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 1337 tracecar && useradd --uid 1337 --gid 1337 --no-create-home --shell /usr/sbin/nologin tracecar
WORKDIR /opt/tracecar
COPY package.json LICENSE ./
COPY demo demo
COPY --from=build /src/node_modules node_modules
COPY --from=build /src/dist dist
RUN ln -s /opt/tracecar/dist/cli/main.js /usr/local/bin/tracecar
ENV NODE_ENV=production
USER 1337:1337
ENTRYPOINT ["tracecar"]
CMD ["help"]
