"""The parts of one database, each with what may be asked of it."""

from .configurations import Configurations
from .consents import Consents
from .database import Database
from .detection.keeping import Detections
from .grants.grants import Grants
from .grants.pulling import Pulls
from .grants.subscriptions import Subscriptions
from .outbox.backlog import OutboxDesk
from .outbox.sending import Outbox
from .publications import Publications
from .recorder import Recorder
from .references.references import References
from .reports import Reports
from .samples.links import Links
from .samples.quarantine import Quarantine
from .samples.reading import Samples
from .samples.tokens import WearerTokens
from .sign_in.pending import PendingSignIns
from .sign_in.sessions import SmartSessions
from .trail.seals import Seals
from .upkeep.disclosures import Disclosures
from .upkeep.patients import Patients
from .upkeep.pruning import Pruning
from .workbench.keys import WorkbenchKeys
from .workbench.recent import Recent
from .workbench.runs import WorkbenchRuns
from .workbench.sessions import WorkbenchSessions


class Parts:
    """What a store is made of."""

    _database: Database
    _recorder: Recorder

    @property
    def publications(self) -> Publications:
        """The rulebooks that are served."""
        return Publications(self._database, self._recorder)

    @property
    def consents(self) -> Consents:
        """What patients permit."""
        return Consents(self._database, self._recorder)

    @property
    def outbox(self) -> Outbox:
        """What is to be told, for one who tells it; another each time."""
        return Outbox(self._database, self._recorder)

    @property
    def outbox_desk(self) -> OutboxDesk:
        """The same, for those who look after it."""
        return OutboxDesk(self._database, self._recorder)

    @property
    def samples(self) -> Samples:
        """What wearables measured."""
        return Samples(self._database)

    @property
    def detections(self) -> Detections:
        """What detectors made of that."""
        return Detections(self._database, self._recorder)

    @property
    def links(self) -> Links:
        """Whose wrist it is."""
        return Links(self._database, self._recorder)

    @property
    def wearer_tokens(self) -> WearerTokens:
        """Tokens by which single wearers deliver."""
        return WearerTokens(self._database, self._recorder)

    @property
    def quarantine(self) -> Quarantine:
        """What was told of wearers whom no link names."""
        return Quarantine(self._database, self._recorder)

    @property
    def grants(self) -> Grants:
        """What wearers have permitted at vendors."""
        return Grants(self._database, self._recorder)

    @property
    def subscriptions(self) -> Subscriptions:
        """What vendors were asked to notify of."""
        return Subscriptions(self._database)

    @property
    def pulls(self) -> Pulls:
        """How far what they permit was fetched."""
        return Pulls(self._database)

    @property
    def references(self) -> References:
        """What links of cards refer to."""
        return References(self._database)

    @property
    def pending_sign_ins(self) -> PendingSignIns:
        """Who was sent to sign in, and has not come back."""
        return PendingSignIns(self._database)

    @property
    def smart_sessions(self) -> SmartSessions:
        """Who came from an EHR, about whom."""
        return SmartSessions(self._database, self._recorder)

    @property
    def configurations(self) -> Configurations:
        """What servers were started with."""
        return Configurations(self._database, self._recorder)

    @property
    def seals(self) -> Seals:
        """The seals of old rows of the audit trail."""
        return Seals(self._database, self._recorder)

    @property
    def pruning(self) -> Pruning:
        """The removal of what is old."""
        return Pruning(self._database, self.seals)

    @property
    def patients(self) -> Patients:
        """All that is kept of one patient."""
        return Patients(self._database, self._recorder)

    @property
    def disclosures(self) -> Disclosures:
        """Readings and days, for who takes them out."""
        return Disclosures(self._database, self._recorder)

    @property
    def workbench(self) -> WorkbenchSessions:
        """Who is in the workbench."""
        return WorkbenchSessions(self._database, self._recorder)

    @property
    def runs(self) -> WorkbenchRuns:
        """Long work that was asked for there."""
        return WorkbenchRuns(self._database, self._recorder)

    @property
    def throwaway_keys(self) -> WorkbenchKeys:
        """Keys that were made there for trials."""
        return WorkbenchKeys(self._database, self._recorder)

    @property
    def recent(self) -> Recent:
        """What was done last, and what waits for somebody."""
        return Recent(self._database)

    @property
    def reports(self) -> Reports:
        """What became of cards."""
        return Reports(self._database)
