"""From a rules folder to what every process serves: check, test, publish or refuse.

One process does this for all that share a database: the one that has the lease. What it
refuses changes nothing, and what was served is served on.
"""

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from .. import __version__
from ..audit import build_publication_event, build_rules_refusal_event
from ..config import Config
from ..fhir.models import check_resource
from ..garbage import seldom_collected, uncollected
from ..rulebook.compile import OF_TESTS, Compiled, compile_rulebook, digest_of, kind_of
from ..rulebook.engine import CheckResource, Rulebook
from ..rulebook.language import Document, Finding, Level
from ..rulebook.load import InvalidRulebook, read_folder
from ..rulebook.testing import gate
from ..rulebook.watch import Fingerprint, Watch
from ..store.publications import Draft, NotLeased
from ..store.records import StoreError
from ..store.store import Store
from .serving import Log

LEASE = 10.0
"""Seconds after which somebody else publishes for one that died."""
RENEW = 2.0
POLL = 0.25
"""Seconds between two looks at the folder."""
MOST = 50
"""Errors that a log line and the record of a refusal name."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a folder."""

    rulebook: Rulebook | None
    """None where it was refused."""
    findings: tuple[Finding, ...]
    """Without those of files that passed before."""
    published: bool
    """False where the same is served already."""
    documents: Mapping[str, Document] = field(default_factory=dict)
    """What was parsed for it."""

    @property
    def errors(self) -> list[Finding]:
        """What keeps it from being served."""
        return [each for each in self.findings if each.level is Level.ERROR]


def build_publisher(config: Config, store: Store, log: Log) -> "Publisher":
    """Return the publisher of the rules folder that the settings name."""
    name = f"{socket.gethostname()}:{config.rules}"
    return Publisher(
        config.rules, store, name, check_resource, lambda: datetime.now(UTC), log
    )


class Publisher:
    """Publishes one rules folder."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        name: str,
        check_resource: CheckResource,
        clock: Callable[[], datetime],
        log: Log,
    ) -> None:
        self.folder = folder
        self.store = store
        self.name = name
        self.clock = clock
        self.log = log
        self._check_resource = check_resource

    def publish(self, epoch: int = 0) -> Verdict:
        """Have the folder served if everything in it is right.

        Args:
            epoch: In which the lease is had for this; 0 where nobody needs it.

        Raises:
            StoreError: if the database does not answer, or the lease is lost.
        """
        verdict = self.consider(self.read(), epoch)
        assert verdict is not None
        return verdict

    def read(self) -> "Mapping[str, str] | InvalidRulebook":
        """Return the files of the folder, or why they cannot be read."""
        try:
            return read_folder(self.folder)
        except InvalidRulebook as error:
            return error

    def consider(
        self, files: "Mapping[str, str] | InvalidRulebook", epoch: int = 0
    ) -> Verdict:
        """Publish the files, or say why not."""
        if isinstance(files, InvalidRulebook):
            return self._refuse("", files.findings)
        checked = digest_of_all(files)
        judged = self._judge(files, checked)
        rulebook = judged.rulebook
        if rulebook is None:
            return self._refuse(checked, judged.findings)
        draft = Draft(
            digest=rulebook.digest,
            files={
                path: files[path] for path in files if kind_of(path) not in OF_TESTS
            },
            checked=checked,
            rules=len(rulebook.rules),
        )
        published = self._serve(draft, epoch)
        return Verdict(rulebook, judged.findings, published, judged.documents)

    def is_served(self, files: "Mapping[str, str] | InvalidRulebook") -> bool:
        """Check whether these very files passed and are served, and nothing is refused.

        Then there is nothing to compile for whoever only publishes.
        """
        if isinstance(files, InvalidRulebook):
            return False
        publications, digest = self.store.publications, digest_of(files)
        newest = publications.newest()
        return (
            newest is not None
            and newest.digest == digest
            and publications.refusal() is None
            and publications.has_passed(digest, digest_of_all(files))
        )

    def _judge(self, files: Mapping[str, str], checked: str) -> Compiled:
        """Return the verdict. That of these very files is kept: tests take long."""
        if self.store.publications.has_passed(digest_of(files), checked):
            with uncollected():
                return compile_rulebook(files)
        with seldom_collected():
            return gate(files, self._check_resource)

    def _serve(self, draft: Draft, epoch: int) -> bool:
        publications, now = self.store.publications, self.clock()
        newest = publications.newest()
        before = newest.digest if newest else ""
        if draft.digest == before:
            publications.confirm(draft, now)
            return False
        old = self._published(before) if before else draft.files
        changed = sorted(
            path
            for path in {*old, *draft.files}
            if old.get(path) != draft.files.get(path)
        )
        event = build_publication_event(now, self.name, draft.digest, before, changed)
        publications.publish(draft, event, self.name, epoch)
        self.log(
            "rulebook published",
            rulebook=draft.digest,
            before=before,
            rules=draft.rules,
            changed=changed[:MOST],
            publisher=self.name,
        )
        return True

    def _published(self, digest: str) -> Mapping[str, str]:
        """Return the texts of before; none where they are damaged, and it is said."""
        try:
            return self.store.publications.files(digest)
        except StoreError as error:
            self.log("rulebook damaged", level="error", problem=str(error))
            return {}

    def _refuse(self, checked: str, findings: tuple[Finding, ...]) -> Verdict:
        verdict = Verdict(None, findings, published=False)
        errors = verdict.errors
        checked = checked or _digest(*map(str, errors))
        standing = self.store.publications.refusal()
        if standing is None or standing.checked != checked:
            lines = [
                f"{each.file}:{each.line}:{each.column}: {each.code}: {each.message}"
                for each in errors[:MOST]
            ]
            event = build_rules_refusal_event(self.clock(), self.name, lines)
            told = [each.as_json() for each in errors[:MOST]]
            self.store.publications.refuse(checked, told, event, self.name)
            self.log(
                "rulebook refused",
                level="error",
                errors=lines,
                more=len(errors) - len(lines),
                publisher=self.name,
            )
        return verdict


def digest_of_all(files: Mapping[str, str], version: str = __version__) -> str:
    """SHA-256 over all files, tests included, and the version of the program.

    Another version may judge the same files otherwise.
    """
    parts = (part for path in sorted(files) for part in (path, files[path]))
    return _digest(version, *parts)


def _digest(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


class Lease:
    """The right to publish, kept in a thread of its own while the rules are tested."""

    def __init__(
        self, store: Store, holder: str, clock: Callable[[], datetime]
    ) -> None:
        self.epoch = 0
        """In which it is had; 0 while it is not."""
        self._holder = holder
        self._store = store
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        with suppress(StoreError):
            self._store.publications.give_lease_back(self._holder)

    def _keep(self) -> None:
        while not self._stop.is_set():
            try:
                now, publications = self._clock(), self._store.publications
                self.epoch = publications.take_lease(self._holder, now, LEASE)
            except StoreError:
                self.epoch = 0
            self._stop.wait(RENEW if self.epoch else POLL * 4)


class Watcher:
    """Publishes a folder whenever it changed and came to rest."""

    def __init__(self, publisher: Publisher, lease: Lease, watch: Watch) -> None:
        self._publisher = publisher
        self._lease = lease
        self._watch = watch
        self._epoch = 0
        self._problem = ""

    def run(self, is_over: Callable[[], bool]) -> None:
        """Watch until it is over."""
        while not is_over():
            try:
                self.look()
                self._problem = ""
            except NotLeased:
                self._lease.epoch = 0
            except StoreError as error:
                self._say(str(error))
            time.sleep(POLL)

    def look(self) -> Verdict | None:
        """Publish the folder, if it is this process's turn and there is reason to."""
        epoch, before = self._lease.epoch, self._epoch
        self._epoch = epoch
        if not epoch:
            return None
        if epoch != before:
            # What another process published meanwhile may come from another folder.
            self._watch.forget()
        found = self._watch.look(time.monotonic())
        return None if found is None else self._consider(found, epoch)

    def _consider(self, found: Fingerprint, epoch: int) -> Verdict | None:
        files = self._publisher.read()
        if not self._watch.is_still(found):
            return None
        if self._publisher.is_served(files):
            self._watch.take(found)
            return None
        verdict = self._publisher.consider(files, epoch)
        self._watch.take(found)
        return verdict

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            self._publisher.log("rulebook not published", problem=problem)
        self._problem = problem
