#!/bin/sh
# Creates an owner who migrates, the login of the service, the roles and the database, as a superuser of PostgreSQL.
# The container runs it once, on an empty volume. Elsewhere the passwords are in OWNER_PASSWORD and SERVICE_PASSWORD.
# Neither login is a superuser, and the login of the service can become nothing but tallystick_app.
set -eu
: "${OWNER_PASSWORD:=$(cat /run/secrets/owner_password)}"
: "${SERVICE_PASSWORD:=$(cat /run/secrets/service_password)}"
psql --set ON_ERROR_STOP=1 --set owner="$OWNER_PASSWORD" --set service="$SERVICE_PASSWORD" \
    --username postgres --dbname postgres <<'SQL'
CREATE ROLE tallystick LOGIN NOINHERIT PASSWORD :'owner';
CREATE ROLE tallystick_service LOGIN PASSWORD :'service';
CREATE ROLE tallystick_app NOLOGIN;
CREATE ROLE anon NOLOGIN;
CREATE ROLE authenticated NOLOGIN;
GRANT tallystick_app TO tallystick, tallystick_service;
ALTER ROLE tallystick_service SET role = 'tallystick_app';
CREATE DATABASE tallystick OWNER tallystick;
SQL
