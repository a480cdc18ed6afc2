#!/usr/bin/env bash
# Does S3 answer, with its disk behind it, and are the buckets there? With "answers": only the former.
set -euo pipefail

ask() {
  exec 3<>"/dev/tcp/127.0.0.1/$1"
  printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3
  timeout 4 cat <&3
  exec 3<&-
}

[ "${1:-}" = answers ] || [ -e /tmp/ready ]
[[ "$(ask "${EVERGREEN_OBJECTS_PORT}" /healthz)" == "HTTP/1."?" 200 "* ]]
[[ "$(ask 9333 /dir/status)" == *'"127.0.0.1:8080"'* ]]
