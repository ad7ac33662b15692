-- target() -> (version, login, has_schema, may_create, may_create_roles)
SELECT
    current_setting('server_version_num')::integer AS version,
    session_user::text AS login,
    to_regnamespace('tallystick') IS NOT NULL AS has_schema,
    has_database_privilege(session_user, current_database(), 'CREATE') AS may_create,
    (
        SELECT login.rolsuper OR login.rolcreaterole
        FROM pg_roles AS login
        WHERE login.rolname = session_user
    ) AS may_create_roles;

-- missing_roles(names) -> (name)
SELECT wanted.name
FROM unnest($1::text[]) AS wanted (name)
WHERE NOT EXISTS (SELECT 1 FROM pg_roles AS present WHERE present.rolname = wanted.name)
ORDER BY wanted.name;

-- memberships(owner, role) -> (login_is_owner, owner_is_service)
SELECT
    pg_has_role(session_user, $1::text, 'MEMBER') AS login_is_owner,
    pg_has_role($1::text, $2::text, 'MEMBER') AS owner_is_service;

-- has_schema() -> bool
SELECT to_regnamespace('tallystick') IS NOT NULL AS has_schema;

-- tables() -> (name)
SELECT each.relname::text AS name
FROM pg_class AS each
WHERE each.relkind = 'r' AND each.relnamespace = to_regnamespace('tallystick')
ORDER BY each.relname;
