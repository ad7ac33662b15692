-- source(role) -> (version, version_text, login, bypasses_policies, is_member, table_count)
SELECT
    current_setting('server_version_num')::integer AS version,
    current_setting('server_version') AS version_text,
    session_user::text AS login,
    (
        SELECT login.rolsuper OR login.rolbypassrls
        FROM pg_roles AS login
        WHERE login.rolname = session_user
    ) AND current_user = session_user AS bypasses_policies,
    coalesce(
        (
            SELECT pg_has_role(session_user, service.oid, 'MEMBER')
            FROM pg_roles AS service
            WHERE service.rolname = $1::text
        ), false
    ) AS is_member,
    (
        SELECT count(*)
        FROM pg_class AS each
        WHERE each.relkind = 'r' AND each.relnamespace = to_regnamespace('tallystick')
    ) AS table_count;

-- hidden_tables(role) -> (name)
-- A role sees a table whole by the right to select, and under row level security by a policy without a condition.
SELECT each.relname::text AS name
FROM pg_class AS each
INNER JOIN pg_roles AS service ON service.rolname = $1::text
WHERE
    each.relnamespace = to_regnamespace('tallystick') AND each.relkind IN ('r', 'p')
    AND (
        NOT has_table_privilege(service.oid, each.oid, 'SELECT')
        OR each.relrowsecurity
        AND (
            NOT EXISTS (
                SELECT 1 FROM pg_policy AS policy
                WHERE
                    policy.polrelid = each.oid AND policy.polpermissive AND policy.polcmd IN ('r', '*')
                    AND pg_get_expr(policy.polqual, policy.polrelid) = 'true'
                    AND (service.oid = ANY(policy.polroles) OR 0 = ANY(policy.polroles))
            )
            OR EXISTS (
                SELECT 1 FROM pg_policy AS policy
                WHERE policy.polrelid = each.oid AND NOT policy.polpermissive AND policy.polcmd IN ('r', '*')
            )
        )
    )
ORDER BY each.relname;

-- newest_migration() -> str
SELECT max(version) AS version FROM tallystick.schema_migrations;
