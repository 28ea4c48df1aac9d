# syntax=docker/dockerfile:1

FROM rust:1-slim-trixie AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc musl-tools && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY rust-toolchain.toml ./
RUN rustup target add "$(uname -m)-unknown-linux-musl"
COPY . .
# What `lockgate --version` says beside the number.
ARG VERSION
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    LOCKGATE_VERSION="$VERSION" cargo build --release --locked --package lockgate --target "$(uname -m)-unknown-linux-musl" \
    && install -D "target/$(uname -m)-unknown-linux-musl/release/lockgate" /image/usr/local/bin/lockgate \
    && install -d -o 65532 -g 65532 -m 700 /image/var/lib/lockgate

# Certificates of the system are not needed: the public roots are in the program.
FROM scratch
COPY --from=build /image /
USER 65532:65532
WORKDIR /var/lib/lockgate
VOLUME /var/lib/lockgate
EXPOSE 8080
# No configuration inside: mount one at /etc/lockgate/config.yaml, or set a provider's key.
ENV LOCKGATE_LISTEN=0.0.0.0:8080 LOCKGATE_DATA=/var/lib/lockgate/lockgate.db
HEALTHCHECK --interval=30s --timeout=3s --start-period=5s CMD ["/usr/local/bin/lockgate", "health"]
ENTRYPOINT ["/usr/local/bin/lockgate"]
