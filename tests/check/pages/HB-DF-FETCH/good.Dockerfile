FROM alpine:3.20@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
RUN wget https://example.com/tool.tgz \
 && echo "0123456789abcdef  tool.tgz" | sha256sum -c \
 && tar xf tool.tgz
USER 1001
