"""Broken constraints, by name: each is the refusal that the domain would have given, had it seen the rival."""

from collections.abc import Callable, Mapping

from application.idempotency import IdempotencyInProgress
from domain.referrals import AlreadyAttributed, ReferralCycle
from domain.refusals import Refusal
from domain.users import EmailTaken, UsernameTaken

VIOLATIONS: Mapping[str, Callable[[], Refusal]] = {
    "users_email_key": EmailTaken,
    "users_username_key": UsernameTaken,
    "referral_edges_pkey": AlreadyAttributed,
    "referral_edges_no_cycle": ReferralCycle,
    "referral_edges_never_self": ReferralCycle,
    "idempotency_keys_pkey": IdempotencyInProgress,
}
"""Constraints that a race can break. Those that only a bug can break stand in `GUARDS`."""

GUARDS: frozenset[str] = frozenset(
    {
        "users_pkey",
        "users_user_id_form",
        "users_email_has_key",
        "users_referrals_not_negative",
        "users_deleted_are_nobody",
        "phone_verifications_pkey",
        "phone_verifications_user_fkey",
        "phone_verifications_source_known",
        "referral_codes_pkey",
        "referral_codes_user_fkey",
        "referral_codes_normal_form",
        "referral_codes_alias_was_demoted",
        "referral_codes_one_canonical",
        "referral_edges_invitee_fkey",
        "referral_edges_inviter_fkey",
        "referral_edges_code_fkey",
        "webhook_deliveries_pkey",
        "webhook_deliveries_kind_known",
        "idempotency_keys_key_form",
        "idempotency_keys_status_final",
        "schema_migrations_pkey",
    }
)
"""Constraints that hold whatever the application does: one that breaks is a bug, and a 500."""
