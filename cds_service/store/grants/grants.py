"""Grants in the database: asked for, given, renewed and ended. Tokens come sealed."""

import json
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, case, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from ...wearables.days import moment
from ...wearables.records import PatientKey
from ...wearables.samples import microseconds
from ..database import Database, lock_table
from ..recorder import Recorder
from ..records import AuditEvent, StoreError
from ..rows import instant
from ..samples.belongings import users_of
from .records import CloudGrant, GrantState, GrantWearer, SealedTokens, SignIn
from .subscriptions import forget, make_due
from .tables import GRANTS, PULLS, SIGN_INS, WEARER

SIGN_INS_KEPT = timedelta(days=1)
"""How long it is known what became of one."""
Reseal = Callable[[CloudGrant], SealedTokens | None]
"""Gives the tokens under the newest key; None where they are under it."""


class AccountTaken(StoreError):
    """Another user of the same source is connected to this account of the vendor."""


class Grants:
    """The grants of one database."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def begin(self, asked: SignIn, audit_event: AuditEvent) -> None:
        """Have a sign-in wait for who comes back from the vendor."""
        row = {
            "state": asked.state,
            **_key(asked.wearer),
            "verifier": asked.verifier,
            "redirect_uri": asked.redirect_uri,
            "outcome": "",
            "until_us": microseconds(asked.until),
        }
        old = microseconds(audit_event.at - SIGN_INS_KEPT)

        def work(connection: Connection) -> None:
            connection.execute(delete(SIGN_INS).where(SIGN_INS.c.until_us < old))
            connection.execute(insert(SIGN_INS).values(row))

        self._recorder.record(audit_event, work)

    def redeem(self, state: str, now: datetime) -> SignIn | None:
        """Return the sign-in that waits under a state, which it does once.

        None where there is none, or its time is over, or somebody was here before.
        """
        known, now_us = SIGN_INS.c, microseconds(now)
        waiting = and_(known.state == state, known.used_us.is_(None))
        alive = and_(waiting, known.until_us > now_us)
        taken = update(SIGN_INS).where(alive).values(used_us=now_us)

        def work(connection: Connection) -> Row[Any] | None:
            return connection.execute(taken.returning(*SIGN_INS.columns)).first()

        # Anybody may come with anything: it keeps nobody from writing.
        with self._database.reading() as connection:
            if connection.execute(select(known.state).where(alive)).first() is None:
                return None
        row = self._database.write(work)
        return None if row is None else _sign_in(row)

    def settle(self, state: str, outcome: str) -> None:
        """Have it known what became of a sign-in; its verifier is gone with that."""
        of_state = update(SIGN_INS).where(SIGN_INS.c.state == state)
        done = of_state.values(outcome=outcome, verifier="")
        self._database.write(lambda each: each.execute(done) and None)

    def outcome(self, state: str) -> str | None:
        """Return what became of a sign-in: empty as long as nothing has, None where
        nobody knows it (any more).
        """
        asked = select(SIGN_INS.c.outcome).where(SIGN_INS.c.state == state)
        with self._database.reading() as connection:
            return connection.execute(asked).scalar()

    def keep(self, grant: CloudGrant, audit_event: AuditEvent) -> CloudGrant:
        """Return a grant with its id; it takes the place of what was there before.

        Raises:
            AccountTaken: if somebody else is connected to the same account.
        """
        row = {
            **_key(grant.wearer),
            **_tokens(grant.tokens),
            "vendor_user": grant.vendor_user,
            "scopes": json.dumps(grant.scopes),
            "state": grant.state,
            "why": grant.why,
            "granted": instant(grant.granted),
        }
        kept: list[CloudGrant] = []

        def work(connection: Connection) -> dict[str, Any]:
            # Who comes back from the same account meanwhile waits, and sees this one.
            lock_table(connection, GRANTS)
            _refuse_twin(connection, grant)
            begun = {"epoch": 1, "holder": "", "held_until_us": 0}
            added = upsert(GRANTS).values(row | begun)
            changed = row | {"epoch": GRANTS.c.epoch + 1, "refresh_begun_us": None}
            instead = added.on_conflict_do_update(index_elements=WEARER, set_=changed)
            done = connection.execute(instead.returning(*GRANTS.columns)).one()
            kept.append(read_grant(done))
            # What failed under the grant before says nothing of this one.
            again = update(PULLS).where(PULLS.c.grant == done.id)
            connection.execute(again.values(due_us=0, failures=0, problem=""))
            make_due(connection, grant.wearer)
            return {"grant": done.id}

        self._recorder.record(audit_event, work)
        return kept[-1]

    def find(self, tenant: str, source: str, user: str) -> CloudGrant | None:
        """Return the grant of a wearer; None where there never was one."""
        return next(self.all(tenant, source, user), None)

    def all(
        self, tenant: str = "", source: str = "", user: str = ""
    ) -> Iterator[CloudGrant]:
        """Yield grants in the order of their wearers, of those that are named."""
        told = zip(WEARER, (tenant, source, user))
        named = (GRANTS.c[name] == value for name, value in told if value)
        asked = select(GRANTS).where(*named).order_by(*(GRANTS.c[e] for e in WEARER))
        with self._database.reading() as connection:
            found = connection.execute(asked).all()
        yield from map(read_grant, found)

    def permitting(
        self, tenant: str, source: str, users: Collection[str]
    ) -> frozenset[str]:
        """Return those by whose permission data may be pulled at this moment.

        Args:
            users: As the vendor calls them, or as links do where it does not tell.
        """
        row = GRANTS.c
        told = case((row.vendor_user != "", row.vendor_user), else_=row.user)
        asked = select(told).where(
            row.tenant == tenant,
            row.source == source,
            row.state == GrantState.ACTIVE,
            told.in_(users),
        )
        with self._database.reading() as connection:
            return frozenset(connection.execute(asked).scalars())

    def of_patient(self, patient: PatientKey) -> tuple[CloudGrant, ...]:
        """Return the grants that hold of the wearers who are a patient."""
        with self._database.reading() as connection:
            users = users_of(connection, patient)
        found = (self.find(*each) for each in sorted(users))
        return tuple(e for e in found if e is not None and e.state is GrantState.ACTIVE)

    def end(
        self, grant: CloudGrant, state: GrantState, why: str, audit_event: AuditEvent
    ) -> bool:
        """Check if a grant that is as it was read ends here; its tokens go."""
        same = and_(GRANTS.c.id == grant.id, GRANTS.c.epoch == grant.epoch)
        gone = {"access": "", "refresh": "", "expires_us": None}
        told = {"state": state, "why": why, "epoch": grant.epoch + 1}
        ended: list[bool] = []

        def work(connection: Connection) -> dict[str, Any]:
            change = update(GRANTS).where(same).values(gone | told)
            ended.append(connection.execute(change).rowcount == 1)
            if ended[-1]:
                forget(connection, grant.wearer)
            return {"ended": ended[-1]}

        self._recorder.record(audit_event, work)
        return ended[-1]

    def begin_refresh(self, grant: CloudGrant, now: datetime) -> bool:
        """Check if a grant is as it was read, and have it known that a refresh begins.

        Until its tokens are renewed, nobody knows whether the refresh token is spent.
        """
        same = and_(GRANTS.c.id == grant.id, GRANTS.c.epoch == grant.epoch)
        begun = update(GRANTS).where(same).values(refresh_begun_us=microseconds(now))
        return self._database.write(lambda each: each.execute(begun).rowcount == 1)

    def renew(self, grant: CloudGrant, tokens: SealedTokens) -> CloudGrant | None:
        """Return a grant with tokens that take the place of those that were read.

        None where others have taken it meanwhile, or it has ended: they hold.
        """
        same = and_(GRANTS.c.id == grant.id, GRANTS.c.epoch == grant.epoch)
        told = {"epoch": grant.epoch + 1, "refresh_begun_us": None}
        change = update(GRANTS).where(same).values(_tokens(tokens) | told)

        def work(connection: Connection) -> Row[Any] | None:
            return connection.execute(change.returning(*GRANTS.columns)).first()

        row = self._database.write(work)
        return None if row is None else read_grant(row)

    def reseal(self, reseal: Reseal) -> tuple[int, int]:
        """Return how many grants are sealed anew, and how many there were to see.

        Each is a transaction. What was renewed meanwhile is sealed under the newest
        key by whoever renewed it, and is left alone.
        """
        done, seen = 0, 0
        for each in self.all():
            seen += 1
            tokens = reseal(each)
            if tokens is None:
                continue
            row = GRANTS.c
            same = and_(row.id == each.id, row.access == each.tokens.access)
            same = and_(same, row.refresh == each.tokens.refresh)
            change = update(GRANTS).where(same).values(_tokens(tokens))
            done += self._database.write(lambda it: it.execute(change).rowcount)
        return done, seen


def read_grant(row: Row[Any]) -> CloudGrant:
    """Return the grant of a row."""
    expires, begun = row.expires_us, row.refresh_begun_us
    return CloudGrant(
        wearer=GrantWearer(row.tenant, row.source, row.user),
        scopes=tuple(json.loads(row.scopes)),
        tokens=SealedTokens(
            row.access, row.refresh, None if expires is None else moment(expires)
        ),
        granted=datetime.fromisoformat(row.granted),
        vendor_user=row.vendor_user,
        state=GrantState(row.state),
        why=row.why,
        epoch=row.epoch,
        refresh_begun=None if begun is None else moment(begun),
        id=row.id,
    )


def _refuse_twin(connection: Connection, grant: CloudGrant) -> None:
    """Two wearers with one account: the readings of one would be the other's."""
    row, wearer = GRANTS.c, grant.wearer
    if not grant.vendor_user:
        return
    same = and_(
        row.tenant == wearer.tenant,
        row.source == wearer.source,
        row.vendor_user == grant.vendor_user,
        row.user != wearer.user,
        row.state == GrantState.ACTIVE,
    )
    if connection.execute(select(GRANTS.c.id).where(same)).first():
        raise AccountTaken("another user is connected to this account")


def _key(wearer: GrantWearer) -> dict[str, str]:
    return {
        "tenant": wearer.tenant,
        "source": wearer.source,
        "user": wearer.user,
    }


def _tokens(tokens: SealedTokens) -> dict[str, Any]:
    expires = tokens.expires
    return {
        "access": tokens.access,
        "refresh": tokens.refresh,
        "expires_us": None if expires is None else microseconds(expires),
    }


def _sign_in(row: Row[Any]) -> SignIn:
    return SignIn(
        row.state,
        GrantWearer(row.tenant, row.source, row.user),
        row.verifier,
        row.redirect_uri,
        moment(row.until_us),
    )
