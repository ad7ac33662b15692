-- visibility() -> (table_name, has_rows, is_hidden)
-- The tables that invariants read. A policy of row level security hides rows from this role, where no permissive policy
-- of the role lets it read every row, or where a restrictive one stands beside it.
WITH seen AS (
    SELECT 'channel_members' AS table_name, EXISTS (SELECT FROM tallystick.channel_members) AS has_rows
    UNION ALL
    SELECT 'collected_rewards', EXISTS (SELECT FROM tallystick.collected_rewards)
    UNION ALL
    SELECT 'invite_uses', EXISTS (SELECT FROM tallystick.invite_uses)
    UNION ALL
    SELECT 'invites', EXISTS (SELECT FROM tallystick.invites)
    UNION ALL
    SELECT 'ledger_accounts', EXISTS (SELECT FROM tallystick.ledger_accounts)
    UNION ALL
    SELECT 'ledger_entries', EXISTS (SELECT FROM tallystick.ledger_entries)
    UNION ALL
    SELECT 'messages', EXISTS (SELECT FROM tallystick.messages)
    UNION ALL
    SELECT 'pending_accruals', EXISTS (SELECT FROM tallystick.pending_accruals)
    UNION ALL
    SELECT 'phone_verifications', EXISTS (SELECT FROM tallystick.phone_verifications)
    UNION ALL
    SELECT 'rating_slips', EXISTS (SELECT FROM tallystick.rating_slips)
    UNION ALL
    SELECT 'referral_codes', EXISTS (SELECT FROM tallystick.referral_codes)
    UNION ALL
    SELECT 'referral_edges', EXISTS (SELECT FROM tallystick.referral_edges)
    UNION ALL
    SELECT 'rewards', EXISTS (SELECT FROM tallystick.rewards)
    UNION ALL
    SELECT 'roster_slots', EXISTS (SELECT FROM tallystick.roster_slots)
    UNION ALL
    SELECT 'session_overlays', EXISTS (SELECT FROM tallystick.session_overlays)
    UNION ALL
    SELECT 'stage_rosters', EXISTS (SELECT FROM tallystick.stage_rosters)
    UNION ALL
    SELECT 'topic_events', EXISTS (SELECT FROM tallystick.topic_events)
    UNION ALL
    SELECT 'topics', EXISTS (SELECT FROM tallystick.topics)
    UNION ALL
    SELECT 'users', EXISTS (SELECT FROM tallystick.users)
)

SELECT
    seen.table_name,
    seen.has_rows,
    row_security_active(held.oid) AND (
        NOT EXISTS (
            SELECT FROM pg_catalog.pg_policy AS policy
            WHERE
                policy.polrelid = held.oid AND policy.polpermissive AND policy.polcmd IN ('*', 'r')
                AND pg_get_expr(policy.polqual, policy.polrelid) = 'true'
                AND EXISTS (
                    SELECT FROM unnest(policy.polroles) AS granted (role)
                    WHERE granted.role = 0 OR pg_has_role(granted.role, 'USAGE')
                )
        )
        OR EXISTS (
            SELECT FROM pg_catalog.pg_policy AS policy
            WHERE policy.polrelid = held.oid AND NOT policy.polpermissive AND policy.polcmd IN ('*', 'r')
        )
    ) AS is_hidden
FROM seen
INNER JOIN pg_catalog.pg_class AS held
    ON held.relname = seen.table_name AND held.relnamespace = 'tallystick'::regnamespace;
