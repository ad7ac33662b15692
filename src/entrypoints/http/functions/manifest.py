"""The manifest of functions: for each one the operation that it stands for, its arguments and the form of its result.

Routes, the page for users and the tests are made from these rows. A function does nothing that its operation does not
do: limits, permissions and refusals are those of the operation.
"""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

PATH = "/rest/v1/rpc/"

NAMES_OF_USERS = frozenset({"p_user_id", "p_collector_id", "p_sender_id", "p_owner_id", "p_staff_id"})
"""Arguments that every function takes and none reads: the acting user is the one of the token."""


class Argument(msgspec.Struct, frozen=True):
    """An argument of a function, and the parameter or field of the operation that it becomes."""

    name: str
    member: str
    """The name of the parameter or field."""
    is_required: bool = True
    also: tuple[str, ...] = ()
    """Further names under which old frontends send it."""


class Scalar(msgspec.Struct, frozen=True):
    """A result that is one value."""

    of: Callable[[Any], object]
    """Return the value, given the reply of the operation."""
    about: str


class Row(msgspec.Struct, frozen=True):
    """A result that is one object: the reply of the operation."""


class Rows(msgspec.Struct, frozen=True):
    """A result that is a list of objects."""

    member: str | None = None
    """The member of the reply that holds the list; None where the reply is the only row."""


class Function(msgspec.Struct, frozen=True):
    """A function and its operation."""

    name: str
    operation: str
    """The id of the operation."""
    result: Scalar | Row | Rows
    arguments: tuple[Argument, ...] = ()
    constants: Mapping[str, Any] = MappingProxyType({})
    """Fields of the body that old frontends do not send."""
    is_readable: bool = False
    """True if GET may call it as well: it changes nothing."""


_SLOTS = (Argument("p_slots", "slots"), Argument("p_rules", "rules"))

FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        function.name: function
        for function in (
            Function("purchase_reward", "purchase_reward", Row(), (Argument("p_reward_id", "reward_id"),)),
            Function(
                "assign_referral_code",
                "get_my_referral_link",
                Scalar(lambda link: link["referral_code"] or None, "the code; null while it is pending"),
            ),
            Function(
                "mark_otp_verified",
                "upsert_user",
                Scalar(lambda user: user["otp_verified"], "true if the token says that the phone is verified"),
            ),
            Function(
                "resolve_referral_code",
                "resolve_code",
                Scalar(
                    lambda resolved: resolved["code"] if resolved["valid"] else None,
                    "the normal form of the code; null if it belongs to nobody",
                ),
                (Argument("p_code", "code", also=("code", "referral_code")),),
                is_readable=True,
            ),
            Function(
                "use_invite_code",
                "redeem_invite",
                Row(),
                (Argument("p_code", "code", also=("invite_code",)),),
            ),
            Function(
                "increment_player_loyalty",
                "award_points",
                Rows(),
                (
                    Argument("p_player_id", "player_id"),
                    Argument("p_delta_points", "points", also=("p_points",)),
                    Argument("p_reason", "reason", is_required=False),
                    Argument("p_reward_id", "reward_id", is_required=False),
                ),
                constants=MappingProxyType({"reason": "increment_player_loyalty"}),
            ),
            Function(
                "fetch_social_messages",
                "list_messages",
                Rows("items"),
                (
                    Argument("p_channel_id", "channel_id"),
                    Argument("p_limit", "limit", is_required=False),
                    Argument("p_since", "since", is_required=False),
                    Argument("p_after", "after", is_required=False),
                ),
                is_readable=True,
            ),
            Function(
                "insert_social_message",
                "send_message",
                Row(),
                (
                    Argument("p_channel_id", "channel_id"),
                    Argument("p_body", "body"),
                    Argument("p_client_message_id", "client_message_id", is_required=False),
                ),
            ),
            Function("verify_rank_roles_and_slots", "verify_roster", Rows("roles"), _SLOTS),
            Function(
                "sync_rank_match_roster",
                "sync_roster",
                Row(),
                (Argument("p_room_id", "room_id"), Argument("p_roster_version", "roster_version"), *_SLOTS),
            ),
        )
    }
)

REPLACED: Mapping[str, str] = MappingProxyType({"purchase_bounty": "purchase_reward"})
"""Functions that are refused, and the function to call instead."""


def function_name(path: str) -> str | None:
    """Return the name of the function that a path calls, whether or not there is one; None for any other path."""
    return path.removeprefix(PATH) if path.startswith(PATH) else None


def function_at(path: str) -> Function | None:
    """Return the function that a path calls; None where there is none."""
    return FUNCTIONS.get(function_name(path) or "")


def methods_of(path: str) -> Collection[str]:
    """Return the methods of the function that a path calls; none where there is no function."""
    function = function_at(path)
    if function is None:
        return frozenset({"OPTIONS", "POST"}) if function_name(path) in REPLACED else frozenset()
    return frozenset({"OPTIONS", "POST"} | ({"GET", "HEAD"} if function.is_readable else set()))
