"""Usernames: allowed texts, their stored form, and the key that says which texts are the same name.

The rule follows PRECIS's UsernameCaseMapped profile (RFC 8265) and is wider in three points: single spaces inside a
name, symbols and compatibility characters are allowed; the latter are replaced by their normal form.
"""

import re
import unicodedata

MAX_USERNAME_LENGTH = 128

_NEVER_SHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of control, format, surrogate, private and unassigned characters, and of line separators."""
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffc"
    "\U00016fe4\U0001d159\U000e0100-\U000e01ef]"
)
"""Characters of other categories that leave no mark: variation selectors, fillers, an empty braille pattern, a
placeholder of objects, a note without a head."""
_MOST_UNFOLDED = 4 * MAX_USERNAME_LENGTH
"""A longer text is refused before it is normalised."""

USERNAME_RULE = (
    "a username of 1 to 128 characters, without control, invisible or unassigned characters and without an accent at "
    "its start"
)


def username_form(text: str) -> str | None:
    """Return the stored form of a username: compatibility characters replaced, spaces trimmed and single.

    None where the text is not allowed as a username.
    """
    if len(text) > _MOST_UNFOLDED or not is_visible(text):
        return None
    if text.isascii():
        form = " ".join(text.split())
        return form if 1 <= len(form) <= MAX_USERNAME_LENGTH else None
    # The Ogham space is the only one that normalisation does not turn into an ordinary space.
    words = unicodedata.normalize("NFKC", text).replace("\u1680", " ").split(" ")
    form = " ".join(word for word in words if word)
    if not 1 <= len(form) <= MAX_USERNAME_LENGTH or not is_visible(form):
        return None
    # A combining mark would join the character that is shown before the name.
    return None if any(unicodedata.category(word[0])[0] == "M" for word in form.split(" ")) else form


def username_key(username: str) -> str:
    """Return the key of a username: two usernames with one key are the same name."""
    if username.isascii():
        return username.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", username).casefold())


def is_visible(text: str) -> bool:
    """Return whether every character of a text can be seen: no control, format, unassigned or blank one."""
    if text.isascii():
        return text.isprintable()
    return not _BLANK.search(text) and not any(unicodedata.category(character) in _NEVER_SHOWN for character in text)
