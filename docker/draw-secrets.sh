#!/bin/sh
# Draws the secrets that are missing into docker/secrets, or into the folder that is named, for the PostgreSQL of
# docker/compose.yaml, or at the host that is named: docker/draw-secrets.sh [FOLDER [HOST]]. It replaces none.
# The folder can be entered by its owner alone. The files in it can be read by the users of the containers.
set -eu
umask 022
folder=${1:-$(dirname "$0")/secrets}
host=${2:-postgres}
mkdir -p "$folder"
chmod 700 "$folder"

secret() { # file, text
    [ -e "$folder/$1" ] || printf '%s\n' "$2" > "$folder/$1"
}

for name in postgres_password owner_password service_password jwt session grafana_password; do
    secret "$name" "$(openssl rand -hex 32)"
done
secret webhooks "whsec_$(openssl rand -base64 32)"
secret database_url "postgresql://tallystick_service:$(cat "$folder/service_password")@$host/tallystick"
secret database_direct_url "postgresql://tallystick:$(cat "$folder/owner_password")@$host/tallystick"

# HAProxy starts with this certificate, and no client trusts it: replace it by the one of your domain.
if [ ! -e "$folder/tls.pem" ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$folder/tls.key" -out "$folder/tls.crt" 2>/dev/null
    cat "$folder/tls.crt" "$folder/tls.key" > "$folder/tls.pem"
    rm "$folder/tls.crt" "$folder/tls.key"
fi
