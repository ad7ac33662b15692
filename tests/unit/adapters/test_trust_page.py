"""The proof of each field is in one table, and the page says the same."""

from tallystick.adapters.webhooks.trust import TRUST
from tests.pages.trust import BEGIN, END, PAGE, render, written


def test_the_page_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page == written(page), "the trust table has changed; write it anew: .venv/bin/python -m tests.pages.trust"
    assert (page.count(BEGIN), page.count(END)) == (1, 1)


def test_every_member_and_every_proof_is_on_the_page() -> None:
    page = render()

    for provider in TRUST.values():
        part = page.partition(f"### {provider.title}\n")[2].partition("### ")[0]
        for trust in provider.fields.values():
            for source in trust.sources:
                assert f"`{source.member}`" in part
                assert all(f"`{proof.member}`" in part for proof in source.proofs)


def test_a_body_that_is_a_whole_state_clears_every_field_that_users_do_not_write_themselves() -> None:
    for provider in TRUST.values():
        for trust in provider.fields.values():
            is_written_by_users = any(source.is_written_by_users for source in trust.sources)
            assert trust.is_cleared_when_absent == (provider.is_full_state and not is_written_by_users)
