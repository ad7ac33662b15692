-- role() -> (is_service, is_above_policies)
SELECT
    current_user = 'tallystick_app' AS is_service,
    rolsuper OR rolbypassrls AS is_above_policies
FROM pg_roles
WHERE rolname = current_user;

-- login() -> (is_superuser, is_above_policies, may_create_roles, may_replicate, may_write_all, is_owner)
-- The powers of the session's user, and of all roles that SET ROLE allows.
WITH reachable AS (
    SELECT oid, rolname, rolsuper, rolbypassrls, rolcreaterole, rolreplication
    FROM pg_roles
    WHERE pg_has_role(session_user, oid, 'MEMBER')
)

SELECT
    bool_or(rolsuper) AS is_superuser,
    bool_or(rolbypassrls) AS is_above_policies,
    bool_or(rolcreaterole) AS may_create_roles,
    bool_or(rolreplication) AS may_replicate,
    bool_or(rolname IN ('pg_write_all_data', 'pg_execute_server_program', 'pg_write_server_files')) AS may_write_all,
    bool_or(
        oid IN (SELECT nspowner FROM pg_namespace WHERE nspname = 'tallystick')
        OR oid IN (SELECT relowner FROM pg_class WHERE relnamespace = to_regnamespace('tallystick'))
        OR oid IN (SELECT datdba FROM pg_database WHERE datname = current_database())
    ) AS is_owner
FROM reachable;
