#!/usr/bin/env bash
# Start the object storage; its buckets are there when healthy.sh says so.
set -euo pipefail

refuse() {
  echo "objects: $1" >&2
  exit 64
}

for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY EVERGREEN_BUCKETS; do
  [ -n "${!name:-}" ] || refuse "${name} is missing: set it in the environment of this container"
done
for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; do
  [[ "${!name}" =~ ^[A-Za-z0-9/+=_.-]{8,128}$ ]] \
    || refuse "${name}: 8 to 128 letters, digits and / + = _ . - are expected"
done
for bucket in ${EVERGREEN_BUCKETS//,/ }; do
  [[ "${bucket}" =~ ^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$ ]] || refuse "EVERGREEN_BUCKETS: ${bucket} is no name of a bucket"
done
[ -w /data ] || refuse "/data: user $(id -u) may not write there; give the volume to this user"

umask 077
rm -f /tmp/ready
cat >/tmp/identities.json <<END
{"identities": [{"name": "evergreen", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
  "credentials": [{"accessKey": "${AWS_ACCESS_KEY_ID}", "secretKey": "${AWS_SECRET_ACCESS_KEY}"}]}]}
END
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
# Without a key, whoever reaches the port beside that of S3 may add identities. Nobody else needs to know this one.
WEED_JWT_FILER_SIGNING_KEY=$(head -c 32 /dev/urandom | base64 --wrap 0)
export WEED_JWT_FILER_SIGNING_KEY

ask() {
  weed -logtostderr=true shell -master=127.0.0.1:9333 -filer=127.0.0.1:8888 <<<"$1" 2>/dev/null
}

create_buckets() {
  until /opt/objects/healthy.sh answers 2>/dev/null; do sleep 0.5; done
  for bucket in ${EVERGREEN_BUCKETS//,/ }; do
    until ask "s3.bucket.list" | grep --quiet "^ *${bucket}[[:space:]]"; do
      ask "s3.bucket.create -name ${bucket}" >/dev/null || sleep 1
    done
  done
  touch /tmp/ready
}
create_buckets &

# What stands behind S3 asks for no key: it listens within the container only.
exec weed -logtostderr=true server -dir=/data -ip=127.0.0.1 -ip.bind=127.0.0.1 \
  -master.port=9333 -master.electionTimeout=1s -master.volumeSizeLimitMB=1024 -master.telemetry=false \
  -volume.port=8080 -volume.max=0 -volume.preStopSeconds=1 -filer -filer.port=8888 \
  -s3 -s3.ip.bind=0.0.0.0 -s3.port="${EVERGREEN_OBJECTS_PORT}" -s3.config=/tmp/identities.json \
  -s3.iam=false -s3.autoCreateBucket=false -s3.allowDeleteBucketNotEmpty=false -s3.port.iceberg=0 -s3.port.lance=0
