-- Who may do what: the owner migrates, tallystick_app serves, anon and authenticated see nothing.

-- kind: before
-- locks: schema_migrations ACCESS EXCLUSIVE
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['tallystick_app', 'anon', 'authenticated'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- another migrator of this cluster was faster
            END;
        END IF;
    END LOOP;
    -- The owner may become the service, and is bound by the policies as long as it has not.
    IF current_setting('server_version_num')::integer < 160000 THEN
        IF NOT pg_has_role(current_user, 'tallystick_app', 'MEMBER') THEN
            EXECUTE format('GRANT tallystick_app TO %I', current_user);
        END IF;
    ELSIF NOT pg_has_role(current_user, 'tallystick_app', 'SET') THEN
        EXECUTE format('GRANT tallystick_app TO %I WITH INHERIT FALSE, SET TRUE', current_user);
    END IF;
END
$$;

REVOKE ALL ON SCHEMA tallystick FROM public;
REVOKE ALL ON SCHEMA tallystick FROM anon, authenticated;
GRANT USAGE ON SCHEMA tallystick TO tallystick_app;

-- The service reads which migrations ran, so that it can refuse to be ready on another schema.
ALTER TABLE tallystick.schema_migrations ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.schema_migrations FORCE ROW LEVEL SECURITY;
CREATE POLICY schema_migrations_owner ON tallystick.schema_migrations
FOR ALL TO current_user USING (true) WITH CHECK (true);
CREATE POLICY schema_migrations_service ON tallystick.schema_migrations
FOR SELECT TO tallystick_app USING (true);
GRANT SELECT ON tallystick.schema_migrations TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP POLICY schema_migrations_service ON tallystick.schema_migrations;
DROP POLICY schema_migrations_owner ON tallystick.schema_migrations;
ALTER TABLE tallystick.schema_migrations NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tallystick.schema_migrations DISABLE ROW LEVEL SECURITY;
REVOKE ALL ON ALL TABLES IN SCHEMA tallystick FROM tallystick_app;
REVOKE USAGE ON SCHEMA tallystick FROM tallystick_app;
