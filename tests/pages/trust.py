"""The table of `docs/webhooks.md` that says what is read from each provider and what proves it, rendered from the code.

`.venv/bin/python -m tests.pages.trust` writes it anew, between its two marks.
"""

from collections.abc import Iterator

from tallystick.adapters.webhooks.trust import TRUST, FieldTrust, Proof, ProviderTrust, Source
from tallystick.domain.users import UNIQUE_FIELDS, ProfileField
from tests.pages.files import DOCS, write

PAGE = DOCS / "webhooks.md"
BEGIN, END = (
    "<!-- The trust table begins: `python -m tests.pages.trust` writes it. -->",
    "<!-- The trust table ends. -->",
)
_SAYS = {"true": "is `true`", "verified": "is `verified`", "time": "is a time"}


def render() -> str:
    """Return the tables, one for each provider."""
    return "\n".join("".join(_part(provider)) for provider in TRUST.values())


def _part(provider: ProviderTrust) -> Iterator[str]:
    yield f"### {provider.title}\n\n"
    yield "| field | read from | proved by | where the body has none |\n| --- | --- | --- | --- |\n"
    for field, trust in provider.fields.items():
        yield f"| {field} | {_read_from(trust)} | {_proved_by(field, trust)} | {_when_absent(provider, trust)} |\n"


def _read_from(trust: FieldTrust) -> str:
    return ", else ".join(f"`{source.member}`" for source in trust.sources)


def _proved_by(field: ProfileField, trust: FieldTrust) -> str:
    if field not in {*UNIQUE_FIELDS, "phone"}:
        return "needs no proof: it is not unique"
    return ", else ".join(dict.fromkeys(map(_proof_of, trust.sources)))


def _proof_of(source: Source) -> str:
    if source.is_kept_unique:
        return "the provider gives it to one user only"
    if source.proofs:
        return " or ".join(map(_sentence, source.proofs))
    return "nothing: users write it themselves" if source.is_written_by_users else "nothing"


def _sentence(proof: Proof) -> str:
    return f"`{proof.member}` {_SAYS[proof.says]}"


def _when_absent(provider: ProviderTrust, trust: FieldTrust) -> str:
    if not trust.is_cleared_when_absent:
        return "it stays; `null` clears it"
    return "it is cleared" if provider.omits_removed_values else "it is cleared; without the member it stays"


def written(page: str) -> str:
    """Return the page with the tables of the code between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{render()}\n{END}{after}"


if __name__ == "__main__":
    write(PAGE, written(PAGE.read_text(encoding="utf-8")))
