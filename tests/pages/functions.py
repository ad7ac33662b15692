"""The page for old frontends, rendered from the manifest of functions.

`.venv/bin/python -m tests.pages.functions` writes `docs/old-frontends.md` anew.
"""

from tallystick.entrypoints.http.functions.manifest import (
    FUNCTIONS,
    NAMES_OF_USERS,
    REPLACED,
    Argument,
    Function,
    Row,
    Rows,
)
from tests.pages.files import DOCS, write
from tests.pages.openapi import read

PAGE = DOCS / "old-frontends.md"

OPENING = """\
# Old frontends

A frontend that calls database functions by `supabase.rpc(...)` keeps its code. The service answers these calls at
`/rest/v1/rpc/{function}` in the form of PostgREST. Each function stands for one operation of the API and does nothing
else: the rate limits, permissions and refusals are those of the operation. The tests call every function by the real
supabase-js on Node, and cause every refusal that a call can cause (`tests/clients/supabase.mjs`).

The service verifies the tokens of your project: set `TALLYSTICK_JWT_SECRET` or `TALLYSTICK_JWKS_URL`, as in
[authentication](authentication.md). Set `TALLYSTICK_ALLOWED_ORIGINS` to the origin of your app if the browser calls the
service directly.

## Functions

"""

ARGUMENTS = """
An argument with `?` is optional. Null is the same as an optional argument that is not sent. Every function also takes
{names}, and reads none of them: the acting user is always the one of the token.

`resolve_referral_code` and `fetch_social_messages` change nothing, and also answer GET:
`rpc(name, arguments, {{ get: true }})`.

Without `p_reward_id`, `increment_player_loyalty` gives the same points for the same reason once a day: a repeated call
returns the first result. Send a `p_reward_id` of its own with each award that has to count.

## Results

- One object is the reply of the operation.
- Rows are a list of objects. `.single()` returns the only row, and fails with `PGRST116` where there is another number
  of rows. `.maybeSingle()` returns null where there is none.
- `{{ count: 'exact' }}` counts the rows of the result, not those behind its last page.
- Filters such as `.eq()` and `.order()` are not served: a call with one is refused with `PGRST202`, as an argument that
  the function does not have. `.select()` without columns changes nothing.

## Errors

An error has `code`, `message`, `details` and `hint`. `message` is the code of the API, such as `INSUFFICIENT_FUNDS`.
`details` says what is wrong. The status is the one of the operation.

```js
const {{ error }} = await supabase.rpc('purchase_reward', {{ p_reward_id: rewardId }})
if (error?.message.includes('INSUFFICIENT_FUNDS')) toast('You need more credits.')
```

| `code` | reason |
| --- | --- |
| `P0001` | a refusal: `message` has its code |
| `22023` | `INVALID_REQUEST`: an argument has a wrong value; `details` names it |
| `42501` | `UNAUTHENTICATED`: nobody is signed in; or `FORBIDDEN`: the user lacks the permission |
| `PGRST301` | `UNAUTHENTICATED`: the token is not valid, or has expired |
| `PGRST202` | there is no function of this name, or it has other arguments |
| `PGRST116` | one object was asked for, and the result has another number of rows |
| `PGRST117` | the function does not take this method |
| `XX000` | the service failed; the header `X-Correlation-Id` finds the reason in its log |

## Send only these calls here

Everything else stays with Supabase: authentication, storage, tables and other functions. Choose one of three ways. In
each of them `SUPABASE_URL` and `SUPABASE_KEY` are those of your project, and `TALLYSTICK_URL` is the address of the
service.

**A proxy by path.** The frontend gets the address of the proxy instead of `SUPABASE_URL`; nothing else changes. This
is a configuration of HAProxy; any proxy that chooses by path will do.

```haproxy
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s

frontend app
    bind :8080
    option http-buffer-request
    http-request set-header X-Forwarded-For %[src]
    acl is_function path,url_dec -m reg ^/rest/v1/rpc/({pattern})$
    use_backend tallystick if is_function
    default_backend supabase

backend tallystick
    server service 127.0.0.1:8000

backend supabase
    http-request del-header cookie
    http-request set-header host project.supabase.co
    server project project.supabase.co:443 ssl verify required ca-file @system-ca sni str(project.supabase.co)
```

The proxy names the client, so add its address to `TALLYSTICK_TRUSTED_PROXIES`. Otherwise all anonymous callers share
one rate limit.

**A `fetch` of the client.** One file changes, and the browser calls both addresses.

```js
const functions = new Set([
{names_in_js}
])
const routed = (input, init) => {{
  const {{ pathname, search }} = new URL(input)
  const isFunction = functions.has(pathname.replace('/rest/v1/rpc/', ''))
  return fetch(isFunction ? TALLYSTICK_URL + pathname + search : input, init)
}}
const supabase = createClient(SUPABASE_URL, SUPABASE_KEY, {{ global: {{ fetch: routed }} }})
```

**A second client.** The calls name it: `tallystick.rpc(...)`. It has the session of the first client.

```js
const tallystick = createClient(TALLYSTICK_URL, SUPABASE_KEY, {{
  accessToken: async () => (await supabase.auth.getSession()).data.session?.access_token ?? null,
}})
```

## Close the old functions

The key of the project is public. Until the old functions are closed, anybody can still call them at Supabase, past the
rules of the service. Once the frontend calls this service, run for each of them:

```sql
REVOKE EXECUTE ON FUNCTION public.purchase_reward FROM PUBLIC, anon, authenticated;
```

## Who calls

A signed-in user is the one of the bearer token. A bearer token that equals the header `apikey` is the key of the
project: the caller is then anonymous. Anonymous callers may call `resolve_referral_code` alone.
"""


def render() -> str:
    """Return the page."""
    operations = {
        operation["operationId"]: f"{method.upper()} {path}"
        for path, methods in read()["paths"].items()
        for method, operation in methods.items()
    }
    lines = ["| function | arguments | result | stands for |", "| --- | --- | --- | --- |"]
    lines += [_line(function, operations[function.operation]) for function in FUNCTIONS.values()]
    lines += [
        f"| `{name}` | | refused with `FUNCTION_REPLACED` | call `{new}` instead |" for name, new in REPLACED.items()
    ]
    names = ", ".join(f"`{name}`" for name in sorted(NAMES_OF_USERS))
    called = [*FUNCTIONS, *REPLACED]
    in_js = "\n".join(f"  '{name}'," for name in called)
    return (
        OPENING + "\n".join(lines) + "\n" + ARGUMENTS.format(names=names, pattern="|".join(called), names_in_js=in_js)
    )


def _line(function: Function, operation: str) -> str:
    arguments = ", ".join(map(_argument, function.arguments)) or "none"
    return f"| `{function.name}` | {arguments} | {_result(function)} | `{operation}` |"


def _argument(argument: Argument) -> str:
    names = " or ".join(f"`{name}`" for name in (argument.name, *argument.also))
    return names if argument.is_required else f"{names}?"


def _result(function: Function) -> str:
    if isinstance(function.result, Row):
        return "one object"
    if isinstance(function.result, Rows):
        return "one row" if function.result.member is None else "rows"
    return function.result.about


if __name__ == "__main__":
    write(PAGE, render())
