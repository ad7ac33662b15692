"""Identity: verified callers, sign-in, and the keys that are derived from the secrets."""

from collections.abc import AsyncIterator, Iterator

from dishka import Provider, Scope, provide

from tallystick.adapters.identity.claims import ClaimsCheck
from tallystick.adapters.identity.code_digests import CodeDigests
from tallystick.adapters.identity.jwks import JwksCache, over_http
from tallystick.adapters.identity.keys import KeyRing
from tallystick.adapters.identity.passwords import Argon2Passwords
from tallystick.adapters.identity.sessions import Bearers, SessionTokens
from tallystick.adapters.identity.stream_tokens import StreamTokens
from tallystick.adapters.identity.tokens import JwtVerifier
from tallystick.adapters.telemetry.logs import Pseudonyms
from tallystick.application.fingerprints import Fingerprints
from tallystick.application.group_commit import Single
from tallystick.application.ports import Clock, Metrics, Randomness
from tallystick.application.reads import Reads
from tallystick.application.sessions import (
    CheckPassword,
    NewSession,
    SignIn,
)
from tallystick.application.transactions import Transactions
from tallystick.domain.identity import Passwords
from tallystick.domain.sessions import Session
from tallystick.entrypoints.http.authentication import Authentication
from tallystick.entrypoints.http.links import Addresses
from tallystick.entrypoints.http.pages import Cursors
from tallystick.entrypoints.http.routes.referrals import GlobeKey
from tallystick.entrypoints.http.routes.sessions import AccountHashes
from tallystick.entrypoints.http.routes.webhooks import WebhookKeys
from tallystick.entrypoints.settings import Settings


class Identity(Provider):
    """Verified callers, sign-in, and the keys that are derived from the secrets."""

    scope = Scope.APP

    @provide
    async def published_keys(
        self, settings: Settings, clock: Clock, metrics: Metrics, randomness: Randomness
    ) -> AsyncIterator[JwksCache | None]:
        url = settings.jwks_url
        cache = JwksCache(over_http(url), clock, metrics, randomness) if url is not None else None
        yield cache
        if cache is not None:
            await cache.close()

    @provide
    def tokens(self, settings: Settings, clock: Clock, published: JwksCache | None) -> JwtVerifier:
        check = ClaimsCheck(clock, issuer=settings.jwt_issuer, audience=settings.jwt_audience)
        return JwtVerifier(check, secrets=settings.jwt_secrets, published=published, algorithms=settings.algorithms)

    @provide
    def keys(self, settings: Settings) -> KeyRing:
        return KeyRing(settings.root_secrets)

    @provide
    def session_tokens(self, keys: KeyRing, clock: Clock) -> SessionTokens:
        return SessionTokens(keys.keys("sessions"), clock)

    @provide
    def bearers(self, keys: KeyRing, clock: Clock) -> Bearers:
        return Bearers(SessionTokens(keys.keys("bearers"), clock, "bearer"))

    @provide
    def stream_tokens(self, keys: KeyRing, clock: Clock) -> StreamTokens:
        return StreamTokens(keys.keys("streams"), clock)

    @provide
    def authentication(
        self,
        tokens: JwtVerifier,
        bearers: Bearers,
        sessions: SessionTokens,
        streams: StreamTokens,
        addresses: Addresses,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
    ) -> Authentication:
        own = [addresses.public_base_url, addresses.app_url, *settings.allowed_origins]
        if settings.identity == "external":
            return Authentication([tokens], None, streams, own, clock, metrics)
        return Authentication([tokens, bearers], sessions, streams, own, clock, metrics)

    @provide
    def webhook_keys(self, settings: Settings) -> WebhookKeys:
        return WebhookKeys(settings.signed_by, settings.webhook_bearers)

    @provide
    def pseudonyms(self, keys: KeyRing) -> Pseudonyms:
        return Pseudonyms(keys.key("pseudonyms"))

    @provide
    def cursors(self, keys: KeyRing) -> Cursors:
        return Cursors(keys.keys("cursors"))

    @provide
    def fingerprints(
        self, transactions: Transactions, reads: Reads, randomness: Randomness, keys: KeyRing
    ) -> Fingerprints:
        return Fingerprints(transactions, reads, randomness, earlier_key=keys.key("fingerprints"))

    @provide
    def code_digests(self, keys: KeyRing) -> CodeDigests:
        return CodeDigests(keys.keys("attempts"))

    @provide
    def globe_key(self, keys: KeyRing) -> GlobeKey:
        return GlobeKey(keys.key("globe"))

    @provide
    def passwords(self, settings: Settings) -> Iterator[Passwords | None]:
        passwords = Argon2Passwords() if settings.identity == "builtin" else None
        yield passwords
        if passwords is not None:
            passwords.close()

    @provide
    def sign_in(
        self,
        reads: Reads,
        passwords: Passwords | None,
        start: Single[NewSession, Session],
        clock: Clock,
        randomness: Randomness,
    ) -> SignIn | None:
        return SignIn(reads, passwords, start, clock, randomness) if passwords is not None else None

    @provide
    def check_password(self, reads: Reads, passwords: Passwords | None) -> CheckPassword | None:
        return CheckPassword(reads, passwords) if passwords is not None else None

    @provide
    def accounts(self, keys: KeyRing) -> AccountHashes:
        return AccountHashes(Pseudonyms(keys.key("accounts")))
