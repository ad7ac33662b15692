"""Sessions on several instances: a session that ends has ended everywhere, at the next request."""

from tests.http.services import Serve
from tests.unit.behaviours.test_http_sessions import CHANGE, CHANGE_BODY, SIGN_OUT, signed_in, statuses
from tests.unit.behaviours.test_http_sign_in import by_cookie, by_token, signed_up


async def test_signing_out_on_one_instance_counts_on_the_other(serve: Serve) -> None:
    first, second = await serve(), await serve()
    await signed_up(first, "ada")
    this, other = await signed_in(first), await signed_in(second)
    headers = [by_token(this), by_cookie(this), by_token(other), by_cookie(other)]
    assert await statuses(second, *headers) == await statuses(first, *headers) == [200] * 4

    await first.post(SIGN_OUT, headers=by_token(this))
    assert await statuses(second, *headers) == [401, 401, 200, 200]

    await second.post(SIGN_OUT, {"everywhere": True}, headers=by_token(other))
    assert await statuses(first, *headers) == [401] * 4


async def test_a_changed_password_counts_on_the_other(serve: Serve) -> None:
    first, second = await serve(), await serve()
    await signed_up(first, "ada")
    this, other = await signed_in(first), await signed_in(second)

    assert (await first.post(CHANGE, CHANGE_BODY, headers=by_token(this))).status_code == 200

    assert await statuses(second, by_token(this), by_token(other)) == [200, 401]
