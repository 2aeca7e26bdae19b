#!/bin/sh
# Makes the certificates of the tests again, in this folder; the recipe is that of docs/network.md. The authority's key
# is thrown away.
set -eu
cd "$(dirname "$0")"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj "/CN=tripline tests" \
  -keyout ca-key.pem -out ca.pem
for name in localhost elsewhere.example; do
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout key.pem -out hub.csr
  printf 'basicConstraints=CA:FALSE\nsubjectAltName=DNS:%s\n' "$name" > hub.ext
  openssl x509 -req -in hub.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 36500 -extfile hub.ext -out cert.pem
  cat cert.pem key.pem > "$name.pem"
done
# What anybody would make first: it signs itself, and says that it may sign others.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj "/CN=localhost" \
  -addext "subjectAltName=DNS:localhost" -keyout key.pem -out cert.pem
cat cert.pem key.pem > plain.pem
rm ca-key.pem ca.srl cert.pem key.pem hub.csr hub.ext
