FROM debian:12-slim
RUN apt-get update && apt-get install curl \
 && rm -rf /var/lib/apt/lists/*
USER 1001
