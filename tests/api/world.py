"""A sub-district to look at: the sample configuration, real stores and the real record, and clocks moved by hand."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from alerts import lifecycle
from alerts.desk import Desk
from alerts.episode import AreaStatus, Episode, Event, Kind, Notice, Used
from alerts.ledger import AlertLedger, Record
from alerts.ledger.accounts import open_accounts
from alerts.ledger.memory import MemoryLedger
from alerts.ledger.sql import open_ledger
from alerts.lifecycle import Cell
from alerts.people import Accounts, Actor, Role
from alerts.plan import plan
from alerts.route import Routes
from alerts.route import load as load_routes
from alerts.rules import RuleSet, compile_rules
from alerts.rules import read as read_rules
from api.app import create_app
from api.auth import SESSION_COOKIE, SESSION_S, csrf_of
from api.deps import Deps, WorkerStatus
from api.read import gather
from api.screens.facts import Facts
from dashboards.pages import Pages
from ingest.quarantine import Quarantine
from sensors.batch import ReadingBatch
from sensors.flags import Flag
from sensors.stations import Registry
from sensors.stations import load as load_stations
from sensors.store import State
from sensors.store.memory import MemoryStore
from tests.api.browser import Browser

SAMPLE = Path(__file__).parents[2] / "takean" / "sample"
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
NOW_US = 1_795_332_900_000_000
"""2026-11-22T14:35:00+07:00"""
REAL_US = NOW_US + 977_000_000_000
"""Real time, well apart from the judgement clock: mixing the two shows."""
PASSWORD = "wet feet at dawn"
HEALTHY = WorkerStatus(alive=True, ready=True, reason="", heartbeat_age_s=0.4, stored_seq=12, judged_seq=12)


@cache
def sample() -> tuple[Registry, RuleSet, Routes, Pages]:
    """What a fresh installation is given."""
    registry = load_stations(SAMPLE / "stations.toml")
    rules = compile_rules(read_rules(SAMPLE / "rules.toml"), registry)
    return registry, rules, load_routes(SAMPLE / "routes.toml", kind=Kind.ACTUAL), Pages()


@cache
def password_hash() -> str:
    """Of PASSWORD; cheap to verify, as a hash says itself how dear it is."""
    return PasswordHash((Argon2Hasher(time_cost=1, memory_cost=1024),)).hash(PASSWORD)


@dataclass(slots=True)
class World:
    """Everything `create_app` needs, and ways to make something happen."""

    ledger: AlertLedger
    accounts: Accounts
    quarantine: Quarantine
    store: MemoryStore
    kind: Kind = Kind.EXERCISE
    speed: float = 1.0
    now_us: int = NOW_US
    real_us: int = REAL_US
    status: WorkerStatus = HEALTHY
    public_url: str = "http://testserver"
    stories: dict[str, Episode] = field(default_factory=dict)
    """Area -> its open story."""

    @property
    def registry(self) -> Registry:
        """The sample's."""
        return sample()[0]

    @property
    def deps(self) -> Deps:
        """For `create_app`."""
        registry, rules, routes, pages = sample()
        return Deps(
            registry=registry,
            rules=rules,
            reader=self.store,
            ledger=self.ledger,
            desk=Desk(
                ledger=self.ledger,
                kind=self.kind,
                plan=partial(plan, registry=registry, routes=routes),
                routes=routes,
                now_us=lambda: self.now_us,
            ),
            accounts=self.accounts,
            quarantine=self.quarantine,
            worker=lambda: self.status,
            kind=self.kind,
            speed=self.speed,
            now_us=lambda: self.now_us,
            real_us=lambda: self.real_us,
            pages=pages,
            static_dir=pages.static_dir,
            map_file=pages.static_dir / "map" / "base.geojson",
            public_url=self.public_url,
        )

    def facts(self) -> Facts:
        """As the screens read them."""
        return gather(self.deps)

    @contextmanager
    def client(self) -> Iterator[Browser]:
        """A browser on an app of its own."""
        with Browser.on(create_app(self.deps), base_url=self.public_url) as client:
            yield client

    def put(
        self,
        key: str,
        values: Sequence[float],
        *,
        step_us: int = 2 * MINUTE_US,
        ago_us: int = 0,
        flag: Flag = Flag.GOOD,
    ) -> None:
        """Store readings of one series, the last one `ago_us` before now."""
        station, _, name = key.partition("/")
        n = len(values)
        time_us = self.now_us - ago_us - step_us * np.arange(n - 1, -1, -1)
        batch = ReadingBatch.of(
            series=np.full(n, self.registry.index[station, name]),
            time_us=time_us,
            value=values,
            received_us=time_us,
        )
        conflict = self.store.recognise(batch) == State.CONFLICT
        self.store.append(batch, conflict, np.full(n, flag, dtype=np.uint8), np.zeros(n, dtype=np.uint32))

    def all_speak(self) -> None:
        """Every station sends calm values for the last hour, rain a full day."""
        for key, value in (("WL-01", 2.0), ("WL-02", 1.8), ("WL-03", 1.9), ("WL-04", 1.1)):
            self.put(f"{key}/stage_m", [value] * 30)
        for key in ("RF-01", "RF-02"):
            self.put(f"{key}/rain_mm", [0.0] * 288, step_us=5 * MINUTE_US)
        for key in ("AQ-01", "AQ-02"):
            self.put(f"{key}/pm2_5_ug_m3", [18.0] * 12, step_us=5 * MINUTE_US)

    def known(self, area: str, *, level: int = 0, known: bool = True, hazard: str = "flood") -> None:
        """The worker says what it knows of an area."""
        status = AreaStatus(
            kind=self.kind,
            area=area,
            hazard=hazard,
            level=level,
            known=known,
            since_us=self.now_us,
        )
        self.ledger.record(Record(kind=self.kind, statuses=[status]))

    def judge(self, area: str, level: int, *, hazard: str = "flood", used: Sequence[Used] = ()) -> Episode:
        """The machine takes an area to a level."""
        routes = sample()[2]
        changes = lifecycle.step(
            self.stories.get(area),
            Cell(kind=self.kind, area=area, hazard=hazard),
            to_level=level,
            event_us=self.now_us,
            now_us=self.now_us,
            used=used,
            speaks=True,
            routes=routes,
        )
        self._record(changes)
        self.stories[area] = changes[-1][1]
        return changes[-1][1]

    def publish(self, area: str, level: int) -> Episode:
        """Officers let a level go public, as many as it takes."""
        desk, officers = self.deps.desk, ("first", "second")
        for name in officers:
            self.account(name, Role.OFFICER)
        for name in officers:
            story = self.stories[area]
            if story.public_level < level:
                actor = Actor(account=name, role=Role.OFFICER)
                after = desk.release(story.id, version=story.version, level=level, actor=actor)
                assert isinstance(after, Episode), after
                self.stories[area] = after
        return self.stories[area]

    def _record(self, changes: Sequence[tuple[Event, Episode]]) -> None:
        registry, _, routes, _ = sample()
        fanouts = plan(changes, self.now_us, registry=registry, routes=routes)
        self.ledger.record(Record(kind=self.kind, changes=changes, fanouts=fanouts))

    def notice(self, subject: str = "WL-01/stage_m", code: str = "suspect_extreme") -> None:
        """Something an officer must see."""
        notice = Notice(kind=self.kind, code=code, subject=subject, text="ค่าน่าสงสัย: 6.9", at_us=self.now_us)
        self.ledger.record(Record(kind=self.kind, notices=[notice]))

    def account(self, name: str, role: Role) -> None:
        """An account with PASSWORD; one that is there stays."""
        if name in self.accounts.names():
            return
        self.accounts.create(name, role, now_us=self.real_us)
        token = self.accounts.invite(name, now_us=self.real_us, expires_us=self.real_us + HOUR_US)
        assert self.accounts.redeem(token, password_hash=password_hash(), now_us=self.real_us)

    def sign_in(self, client: Browser, name: str = "officer", role: Role = Role.OFFICER) -> dict[str, str]:
        """Give a browser a session; the header its pages send with every change."""
        token = self._session(name, role)
        client.cookies.set(SESSION_COOKIE, token)
        return {"X-CSRF-Token": csrf_of(token)}

    def sign_in_elsewhere(self, name: str) -> str:
        """Somebody else's session, on another machine; the token of its pages."""
        return csrf_of(self._session(name, Role.OFFICER))

    def _session(self, name: str, role: Role) -> str:
        self.account(name, role)
        return self.accounts.open_session(name, now_us=self.real_us, expires_us=self.real_us + SESSION_S * 1_000_000)

    def blind(self, reason: str = "the store is full") -> None:
        """The worker stops judging."""
        self.status = replace(self.status, ready=False, reason=reason)


@contextmanager
def open_world(folder: Path, *, kind: Kind = Kind.EXERCISE, sql: bool = False) -> Iterator[World]:
    """A world in a folder of its own, its record in memory or (`sql`) in the file the accounts are in."""
    file = folder / "ledger.db"
    file.write_bytes(_empty_database())
    with (
        closing(open_ledger(file) if sql else MemoryLedger()) as ledger,
        closing(open_accounts(file)) as accounts,
        closing(Quarantine(folder / "quarantine.db")) as quarantine,
        closing(MemoryStore(sample()[0].keys())) as store,
    ):
        yield World(ledger=ledger, accounts=accounts, quarantine=quarantine, store=store, kind=kind)


@cache
def _empty_database() -> bytes:
    """Made once: the migrations take longer than most tests."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.db"
        open_accounts(file).close()
        return file.read_bytes()
