FROM ubuntu:latest
USER 1001
