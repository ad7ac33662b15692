"""Loads of channels on a filled database, by HTTP and `pgbench`, and a check that all acknowledged work is stored."""

from pathlib import Path
from random import Random

from bench.client import Load, WrongAnswer
from bench.comparisons import Comparison
from bench.database import CHANNEL_PREFIX, FIRST_CHANNEL, Database
from bench.drivers import Slot, send
from bench.messages import Signer
from bench.pgbench import drive, sends
from bench.servers import Server

CHANNELS = 1_000
MEMBERS = 10
HOT_MEMBERS = 600

_MOST_PER_SECOND = 10_000
_PREFILLED = 100
_HOLDS = b'"seq":'


class Channels:
    """A database, and the signer of its requests."""

    def __init__(self, database: Database, signer: Signer, folder: Path) -> None:
        self._database, self._signer, self._folder = database, signer, folder
        self._random = Random(CHANNELS)
        self._acknowledged = _PREFILLED * (CHANNELS + 1)

    @property
    def comparisons(self) -> tuple[Comparison, Comparison]:
        """Messages to one channel, and messages spread over a thousand channels."""
        return (
            Comparison("send to one channel", "/s", self._hot_sends, self._direct_hot_sends, (1, 4, 16, 64)),
            Comparison("send to 1,000 channels", "/s", self._sends, self._direct_sends, (8, 16, 32, 64)),
        )

    def check(self) -> None:
        """Check that all acknowledged messages are stored, and that no promise is broken."""
        stored = int(self._database.run("SELECT count(*) FROM tallystick.messages"))
        if stored != self._acknowledged:
            raise WrongAnswer(f"{self._acknowledged} messages were acknowledged, and {stored} are stored")
        self._database.check()

    def openings(self, number: int, *, is_hot: bool) -> list[bytes]:
        """Return the requests of streams: of the hot channel, or of a thousand channels; each by another member."""
        if is_hot:
            return self._signer.streams((_member(0, place), _channel(0)) for place in range(number))
        channels = ((1 + place % CHANNELS, place // CHANNELS) for place in range(number))
        return self._signer.streams((_member(channel, place), _channel(channel)) for channel, place in channels)

    def steady_load(self, server: Server, seconds: float, per_second: float) -> Load:
        """Return messages to the hot channel at a steady rate, each with its number, and count them as acknowledged."""
        number = int(seconds * per_second)
        self._acknowledged += number
        requests = self._signer.sends(
            (_member(0, HOT_MEMBERS - 1 - place % 16), _channel(0)) for place in range(number)
        )
        return Load(
            host=server.host,
            port=server.port,
            requests=requests,
            holds=_HOLDS,
            seconds=seconds + 1,
            per_second=per_second,
        )

    def pages(self, server: Server, seconds: float, channel_id: str) -> Slot:
        """Read the newest page of a channel repeatedly."""
        request = self._signer.page(READER, channel_id)
        return send(server, [request] * 64, b'"next_cursor":', seconds=seconds, repeats=True)

    def _hot_sends(self, server: Server, seconds: float) -> Slot:
        number = int(_MOST_PER_SECOND * seconds)
        members = self._random.choices(range(HOT_MEMBERS), k=number)
        return self._sent(server, seconds, [(_member(0, place), _channel(0)) for place in members])

    def _sends(self, server: Server, seconds: float) -> Slot:
        number = int(_MOST_PER_SECOND * seconds)
        channels = self._random.choices(range(1, CHANNELS + 1), k=number)
        places = self._random.choices(range(MEMBERS), k=number)
        pairs = [(_member(channel, place), _channel(channel)) for channel, place in zip(channels, places, strict=True)]
        return self._sent(server, seconds, pairs)

    def _sent(self, server: Server, seconds: float, pairs: list[tuple[str, str]]) -> Slot:
        slot = send(server, self._signer.sends(pairs), _HOLDS, seconds=seconds)
        self._acknowledged += slot.requests
        return slot

    def _direct_hot_sends(self, clients: int, seconds: int) -> Slot:
        return self._directly(clients, seconds, channels=0, members=HOT_MEMBERS)

    def _direct_sends(self, clients: int, seconds: int) -> Slot:
        return self._directly(clients, seconds, channels=CHANNELS, members=MEMBERS)

    def _directly(self, clients: int, seconds: int, *, channels: int, members: int) -> Slot:
        slot = drive(self._database, self._folder, sends(channels, members), clients=clients, seconds=seconds)
        self._acknowledged += slot.requests
        return slot


READER = "reader"


def load_messages(database: Database, channel_id: str, first: int, last: int) -> None:
    """Give a channel of the reader the messages from one number to another, without their events."""
    database.run(
        "SET session_replication_role = replica; SET ROLE tallystick_app;\n"
        "INSERT INTO tallystick.topics (topic_id, kind, head, last_at)\n"
        f"VALUES ('{channel_id}', 'channel', {last}, now())\n"
        "ON CONFLICT (topic_id) DO UPDATE SET head = excluded.head, last_at = excluded.last_at;\n"
        "INSERT INTO tallystick.channels (channel_id, owner_id, name, created_at)\n"
        f"VALUES ('{channel_id}', '{READER}', 'Pages', now()) ON CONFLICT DO NOTHING;\n"
        "INSERT INTO tallystick.channel_members (channel_id, user_id, role, joined_seq)\n"
        f"VALUES ('{channel_id}', '{READER}', 'owner', 0) ON CONFLICT DO NOTHING;\n"
        "INSERT INTO tallystick.messages (\n"
        "    channel_id, seq, message_id, sender_id, client_message_id, body, created_at\n"
        ")\n"
        f"SELECT '{channel_id}', n, '{channel_id} ' || n, '{READER}', lpad(n::text, 9, '0'),\n"
        "    'A message of some thirty letters', now()\n"
        f"FROM generate_series({first + 1}, {last}) AS n;",
        "superuser",
    )


def _channel(number: int) -> str:
    return f"{CHANNEL_PREFIX}{FIRST_CHANNEL + number}"


def _member(channel: int, place: int) -> str:
    return f"member_{channel}_{place}"
