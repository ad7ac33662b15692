"""Names of the constraints that a concurrent transaction can make fail; only a bug can make the others fail."""

RACES: frozenset[str] = frozenset(
    {
        "users_email_key",
        "users_username_once",
        "referral_edges_pkey",
        "referral_edges_no_cycle",
        "idempotency_keys_pkey",
        "ledger_entries_event_key",
        "ledger_entries_grant_key",
        "ledger_entries_pkey",
        "collected_rewards_pkey",
        "invite_uses_pkey",
        "stage_rosters_pkey",
        "session_overlays_pkey",
        "credentials_pkey",
        # A rollback of a backfill can delete the referenced row.
        "phone_verifications_user_fkey",
        "referral_codes_user_fkey",
        "referral_edges_invitee_fkey",
        "referral_edges_inviter_fkey",
        "referral_edges_code_fkey",
        "attribution_attempts_user_fkey",
        "rating_slips_player_fkey",
        "pending_accruals_player_fkey",
        "credentials_user_fkey",
    }
)
"""Constraints that fail where a concurrent transaction stored a row that the rule did not see.

The batch is run again: the rule sees the row and refuses by a value, which is stored like every other answer.
"""
