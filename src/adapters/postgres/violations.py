"""Broken constraints, by name: those that a race can break, and those that only a bug can."""

RACES: frozenset[str] = frozenset(
    {
        "users_email_key",
        "users_username_key",
        "referral_edges_pkey",
        "referral_edges_no_cycle",
        "idempotency_keys_pkey",
        "ledger_entries_event_key",
        "ledger_entries_grant_key",
        "ledger_entries_pkey",
        "collected_rewards_pkey",
        "invite_uses_pkey",
        "credentials_pkey",
        # What they refer to was there a moment ago: a backfill is being taken back.
        "phone_verifications_user_fkey",
        "referral_codes_user_fkey",
        "referral_edges_invitee_fkey",
        "referral_edges_inviter_fkey",
        "referral_edges_code_fkey",
        "rating_slips_player_fkey",
        "pending_accruals_player_fkey",
        "credentials_user_fkey",
    }
)
"""Constraints that a rival can make a batch break, who stored first what the rule could not see yet.

The batch is run again: the rule sees the rival and refuses by a value, which is stored like every other answer.
"""

GUARDS: frozenset[str] = frozenset(
    {
        "users_pkey",
        "users_user_id_form",
        "users_email_has_key",
        "users_referrals_not_negative",
        "users_deleted_are_nobody",
        "phone_verifications_pkey",
        "phone_verifications_source_known",
        "referral_codes_pkey",
        "referral_codes_normal_form",
        "referral_codes_alias_was_demoted",
        "referral_codes_one_canonical",
        "referral_edges_never_self",
        "webhook_deliveries_pkey",
        "webhook_deliveries_kind_known",
        "ledger_accounts_pkey",
        "ledger_accounts_unit_known",
        "ledger_accounts_never_negative",
        "ledger_accounts_version_counts",
        "ledger_accounts_lifetime_of_points",
        "ledger_entries_account_fkey",
        "ledger_entries_seq_counts",
        "ledger_entries_add_up",
        "ledger_entries_never_negative",
        "ledger_entries_points_have_tiers",
        "rating_slips_pkey",
        "rating_slips_state_known",
        "rating_slips_bet_positive",
        "rating_slips_game_positive",
        "rating_slips_times_ordered",
        "rating_slips_points_bounded",
        "rating_slips_closed_as_a_whole",
        "pending_accruals_pkey",
        "pending_accruals_points_positive",
        "pending_accruals_tries_count",
        "rewards_pkey",
        "rewards_cost_positive",
        "collected_rewards_reward_fkey",
        "collected_rewards_add_up",
        "invites_pkey",
        "invites_invite_id_key",
        "invites_normal_form",
        "invites_capacity",
        "invites_never_oversold",
        "invite_uses_invite_fkey",
        "flags_pkey",
        "flags_mint_in_referral_api_stays_off",
        "idempotency_keys_key_form",
        "idempotency_keys_status_final",
        "schema_migrations_pkey",
    }
)
"""Constraints that hold whatever the application does: one that breaks is a bug, and a 500."""
