#!/bin/sh
# Puts the names of the environment into the templates, and starts nginx as whoever this is. With a certificate
# (tls.crt and tls.key in the folder that TLS_FOLDER names) every port speaks TLS, without one none does.
# With `reload` the nginx that runs reads all that anew; requests that it is at are answered.
set -eu
tls=""
: >/tmp/tls.conf
if [ -f /etc/evergreen-tls/tls.crt ]; then
  tls=" ssl"
  printf '%s\n' 'ssl_certificate /etc/evergreen-tls/tls.crt;' 'ssl_certificate_key /etc/evergreen-tls/tls.key;' \
    'ssl_protocols TLSv1.2 TLSv1.3;' 'ssl_session_cache shared:tls:4m;' >/tmp/tls.conf
fi
for template in serving pages; do
  sed -e "s|\${SERVING_LISTEN}|8000$tls|" -e "s|\${TLS}|$tls|" \
    -e "s|\${SERVING_REPLICA_1}|$SERVING_REPLICA_1|" -e "s|\${SERVING_REPLICA_2}|$SERVING_REPLICA_2|" \
    "/etc/evergreen/$template.conf.template" >"/tmp/$template.conf"
done
if [ "${1:-}" = reload ]; then
  exec nginx -c /etc/evergreen/nginx.conf -s reload
fi
exec nginx -c /etc/evergreen/nginx.conf
