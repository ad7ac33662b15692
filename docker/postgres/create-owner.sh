#!/bin/sh
# Runs once, on an empty volume: an owner who is no superuser, the roles of the schema, and the database.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$OWNER_PASSWORD" --username postgres --dbname postgres <<'SQL'
CREATE ROLE tallystick LOGIN NOINHERIT PASSWORD :'password';
CREATE ROLE tallystick_app NOLOGIN;
CREATE ROLE anon NOLOGIN;
CREATE ROLE authenticated NOLOGIN;
GRANT tallystick_app TO tallystick;
CREATE DATABASE tallystick OWNER tallystick;
SQL
