"""The schema has guarded tables, policies for the service alone, and no objects that bypass them."""

from tests.integration.postgres.sessions import Session


async def test_row_level_security_is_enabled_and_forced_on_every_table(owner: Session) -> None:
    rows = await owner.fetch(
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class "
        "WHERE relnamespace = 'tallystick'::regnamespace AND relkind IN ('r', 'p')"
    )

    assert len(rows) >= 14
    assert [row["relname"] for row in rows if not (row["relrowsecurity"] and row["relforcerowsecurity"])] == []


async def test_every_policy_is_for_the_service_alone_but_for_the_owners_on_the_migrations(owner: Session) -> None:
    policies = await owner.fetch(
        "SELECT tablename, policyname, roles::text[] AS roles FROM pg_policies WHERE schemaname = 'tallystick'"
    )

    strange = {(row["tablename"], *row["roles"]) for row in policies if row["roles"] != ["tallystick_app"]}
    assert strange == {("schema_migrations", "tallystick")}


async def test_every_table_has_a_policy_for_the_service(owner: Session) -> None:
    bare = await owner.fetch(
        "SELECT tablename FROM pg_tables AS t WHERE schemaname = 'tallystick' AND NOT EXISTS ("
        "SELECT FROM pg_policies AS p WHERE p.schemaname = t.schemaname AND p.tablename = t.tablename "
        "AND p.roles = ARRAY['tallystick_app']::name[])"
    )

    assert bare == []


async def test_nothing_in_the_schema_could_go_round_the_policies(owner: Session) -> None:
    """Views read as their owner, functions may too, and the matrix of rights knows tables only."""
    others = await owner.fetch(
        "SELECT relname::text FROM pg_class "
        "WHERE relnamespace = 'tallystick'::regnamespace AND relkind NOT IN ('r', 'p', 'i', 'I') "
        "UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'tallystick'::regnamespace "
        "UNION ALL SELECT tgname::text FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid "
        "WHERE c.relnamespace = 'tallystick'::regnamespace AND NOT t.tgisinternal"
    )

    assert others == []


async def test_the_services_role_cannot_log_in_and_stands_above_nothing(owner: Session) -> None:
    role = await owner.fetchrow(
        "SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication "
        "FROM pg_roles WHERE rolname = 'tallystick_app'"
    )

    assert role is not None
    assert [name for name, held in role.items() if held] == []


async def test_the_services_role_belongs_to_no_other_role(owner: Session) -> None:
    groups = await owner.fetch("SELECT roleid::regrole FROM pg_auth_members WHERE member = 'tallystick_app'::regrole")

    assert groups == []


async def test_nobody_but_the_service_is_let_into_the_schema(owner: Session) -> None:
    grantees = await owner.fetch(
        "SELECT CASE a.grantee WHEN 0 THEN 'public' ELSE a.grantee::regrole::text END AS name, a.privilege_type "
        "FROM pg_namespace AS n, aclexplode(n.nspacl) AS a WHERE n.nspname = 'tallystick' AND a.grantee <> n.nspowner"
    )

    assert [tuple(row) for row in grantees] == [("tallystick_app", "USAGE")]
