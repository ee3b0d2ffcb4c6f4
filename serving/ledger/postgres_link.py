"""One connection to PostgreSQL that sends many statements in one journey.

Statements are prepared once and sent in libpq's pipeline mode, so a journey costs one wait for the
network, whatever it carries. Whoever has an event loop waits on it, and others work meanwhile: a
thread to wait in would cost more than the waiting. Nothing here knows a ledger.
"""

from __future__ import annotations

import contextlib
import select
import struct
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

from agents.errors import StateError
from serving.ledger.database import LostError, RefusedError, Row, Statement
from serving.ledger.waiting import PATIENCE_S, Wait, at_once, wait_here, wait_on_loop

OLDEST_SERVER = 140_000
_MAX_PREPARED = 500  # statements that are prepared by name; more of them are prepared each time
_CONNECT: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "nextbest",
    "client_encoding": "utf8",
}
_SETTINGS = (
    "SET statement_timeout = '20s'; SET lock_timeout = '10s';"
    " SET idle_in_transaction_session_timeout = '60s'; SET timezone = 'UTC';"
    " SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') IN ('off', 'local')"
)
_BINARY = 1
_OUT_OF_STEP = "the connection to the ledger is out of step; ask again with the same key or id"
_OWN_FAULT = ("22", "23", "54")  # classes: a wrong value, a broken constraint, too large
_DEMOTED = "25006"  # it reads only, as a primary that has become a standby

_LOADERS: dict[int, Callable[[bytes], object]] = {  # by the type's number in pg_type
    16: lambda data: data == b"\x01",
    17: lambda data: data,
    20: lambda data: int.from_bytes(data, "big", signed=True),
    23: lambda data: int.from_bytes(data, "big", signed=True),
    25: lambda data: data.decode(),
    701: lambda data: float(struct.unpack("!d", data)[0]),
}
_BOTH = select.POLLIN | select.POLLOUT


class Link:
    """One connection; used by one thread at a time.

    Args:
        url: `postgresql://user@host/database` or any other conninfo of libpq.
        writing: whether a server that only reads is to be refused.

    Raises:
        StateError: the server cannot be reached, is older than PostgreSQL 14, or would lose
            commits.
    """

    def __init__(self, url: str, *, writing: bool) -> None:
        mode = "read-write" if writing else "any"
        try:
            self._connection = psycopg.connect(
                url, autocommit=True, target_session_attrs=mode, **_CONNECT
            )
            self._connection.execute(_SETTINGS)
            fsync = self._connection.execute("SHOW fsync").fetchone()
        except psycopg.OperationalError as error:
            raise StateError(f"the ledger's database cannot be reached: {_first(error)}") from None
        except psycopg.Error:  # its message may hold the URL, and so a password
            raise StateError(
                "expected a ledger such as postgresql://user@host/database, got a URL that"
                " PostgreSQL's library cannot read; see --ledger"
            ) from None
        self._prepared: dict[str, bytes] = {}
        self._names = 0  # ever given; none is given twice
        self._loaders = dict(_LOADERS)
        self._pgconn = self._connection.pgconn
        self._require(fsync == ("on",))
        self._pgconn.nonblocking = 1
        self._pgconn.enter_pipeline_mode()
        self._wait: Wait = wait_here

    def _require(self, fsync: bool) -> None:
        version = self._pgconn.server_version
        if version < OLDEST_SERVER or not fsync:
            self.close()
            got = f"PostgreSQL {version // 10_000}" if fsync else "fsync=off, which loses commits"
            raise StateError(f"expected PostgreSQL 14 or later with fsync=on, got {got}")

    @property
    def open(self) -> bool:
        """Whether the connection is believed to work."""
        return not self._connection.closed

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, failed or not."""
        idle = pq.TransactionStatus.IDLE
        return self.open and self._pgconn.transaction_status != idle

    @property
    def failed(self) -> bool:
        """Whether the open transaction can only be undone."""
        return self._pgconn.transaction_status == pq.TransactionStatus.INERROR

    def close(self) -> None:
        """Close the connection; what was not committed is undone by the server."""
        with contextlib.suppress(psycopg.Error):
            self._connection.close()

    def exchange(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Do as `journey` does; this thread waits."""
        return at_once(self.journey(statements, wait_here))

    async def journey(
        self, statements: Sequence[Statement], wait: Wait = wait_on_loop
    ) -> list[list[Row]]:
        """Send statements together; return the rows of each.

        The first that is refused ends it: the server skips those after it.

        Args:
            statements: in their order.
            wait: how to.

        Raises:
            RefusedError: the server refused a statement; the rest of its transaction is void.
            LostError: the connection was lost, and is closed; what was sent may or may not have
                been done.
        """
        self._wait = wait
        try:
            prepares = [self._send(sql, values) for sql, values in statements]
            self._pgconn.pipeline_sync()
            await self._flush()
            return await self._receive(prepares)
        except psycopg.Error as error:
            self.close()
            raise LostError(
                f"the connection to the ledger was lost ({_first(error)}); whether it was committed"
                " is not known: ask again with the same key or id"
            ) from None
        except RefusedError as error:
            if _DEMOTED in str(error):
                self.close()  # so that the next journey looks for the server that writes
            raise
        except BaseException:  # answers may still be on their way
            self.close()
            raise

    def _send(self, sql: str, values: Row) -> bool:
        """Queue a statement; return whether it had to be prepared."""
        name = self._prepared.get(sql)
        fresh = name is None
        if name is None:
            name = b""
            if len(self._prepared) < _MAX_PREPARED:
                self._names += 1
                name = self._prepared[sql] = b"s%d" % self._names
            self._pgconn.send_prepare(name, _numbered(sql).encode())
        if values:
            data, formats = zip(*map(_dump, values), strict=True)
            self._pgconn.send_query_prepared(name, data, formats, result_format=_BINARY)
        else:
            self._pgconn.send_query_prepared(name, None, None, result_format=_BINARY)
        return fresh

    async def _flush(self) -> None:
        """Send what is queued, reading meanwhile, or a full pipe would stop both sides."""
        while self._pgconn.flush():
            await self._ready(_BOTH)

    async def _ready(self, events: int) -> None:
        try:
            came = await self._wait(self._pgconn.socket, events)
        except TimeoutError:
            raise LostError(
                f"the ledger's database has not answered for {PATIENCE_S:.0f} s; ask again later"
            ) from None
        if came:
            self._pgconn.consume_input()

    async def _next(self) -> pq.abc.PGresult | None:
        while self._pgconn.is_busy():
            await self._ready(select.POLLIN)
        return self._pgconn.get_result()

    async def _receive(self, prepares: Sequence[bool]) -> list[list[Row]]:
        """Read all results up to the end of the journey."""
        answers: list[list[Row]] = []
        refused: RefusedError | None = None
        for fresh in prepares:
            for step in (True, False) if fresh else (False,):
                error, rows = await self._result(preparing=step)
                refused = refused or error
                if not step:
                    answers.append(rows)
        end = await self._next()
        if end is None or end.status != pq.ExecStatus.PIPELINE_SYNC:
            raise LostError(_OUT_OF_STEP)
        if refused is not None:
            self._prepared.clear()  # one of them may not have come to be
            raise refused
        return answers

    async def _result(self, *, preparing: bool) -> tuple[RefusedError | None, list[Row]]:
        """Read the result of one step and the mark behind it."""
        result = await self._next()
        if result is None:
            raise LostError(_OUT_OF_STEP)
        error, rows = None, []
        if result.status == pq.ExecStatus.FATAL_ERROR:
            error = _refusal(result)
        elif result.status == pq.ExecStatus.TUPLES_OK and not preparing:
            rows = self._load(result)
        if await self._next() is not None:
            raise LostError(_OUT_OF_STEP)
        return error, rows

    def _load(self, result: pq.abc.PGresult) -> list[Row]:
        if not result.ntuples:
            return []
        loaders = [self._loader(result.ftype(column)) for column in range(result.nfields)]
        get = result.get_value
        rows: list[Row] = []
        for row in range(result.ntuples):
            raw = [get(row, column) for column in range(len(loaders))]
            rows.append(
                tuple(
                    None if data is None else load(data)
                    for load, data in zip(loaders, raw, strict=True)
                )
            )
        return rows

    def _loader(self, oid: int) -> Callable[[bytes], object]:
        loader = self._loaders.get(oid)
        if loader is None:
            found = Transformer(self._connection).get_loader(oid, pq.Format.BINARY)
            loader = self._loaders[oid] = found.load
        return loader


def _numbered(sql: str) -> str:
    """Write `$1`, `$2` for the `?` of a statement; ours have no `?` in a text.

    Example:
        >>> _numbered("SELECT a FROM t WHERE b = ? AND c > ?")
        'SELECT a FROM t WHERE b = $1 AND c > $2'
    """
    head, *rest = sql.split("?")
    return head + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))


def _dump(value: object) -> tuple[bytes | None, int]:
    """Write a value for libpq: text and bytes as they are, numbers as digits."""
    if isinstance(value, str):
        return value.encode(), _BINARY
    if isinstance(value, bytes) or value is None:
        return value, _BINARY
    if isinstance(value, bool):
        return b"%d" % value, 0
    return str(value).encode(), 0


def _first(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _refusal(result: pq.abc.PGresult) -> RefusedError:
    """Say why a statement was refused, without the values of a row."""
    state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"?").decode()
    text = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode()
    if state.startswith("22"):  # a value that is no such thing: the message holds it
        text = "a value was refused"
    own_fault = state.startswith(_OWN_FAULT)
    return RefusedError(f"the ledger cannot be used now: {text} ({state})", own_fault=own_fault)
