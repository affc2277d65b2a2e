"""The tables, as SQLAlchemy Core sees them; ``migrations/`` makes them.

An instant is text in ISO 8601 with a fixed width in UTC, so that the order of the text
is the order of time. Where a query compares instants with a limit, the column holds
seconds since 1970-01-01T00:00:00Z and its name ends in ``_utc``.

Text is compared by its code points and whole numbers have 64 bits, in either database.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    and_,
    false,
    literal_column,
)

METADATA = MetaData()
TEXT = Text().with_variant(Text(collation="C"), "postgresql")
WHOLE = BigInteger().with_variant(Integer, "sqlite")
_PATIENT = ("tenant", "fhir_base", "patient_id")


def required_text(name: str) -> Column[str]:
    """Return a column with a text in each row."""
    return Column(name, TEXT, nullable=False)


def required_whole(name: str) -> Column[int]:
    """Return a column with a whole number in each row."""
    return Column(name, WHOLE, nullable=False)


SPENT_TOKENS = Table(
    "spent_tokens",
    METADATA,
    Column("issuer", TEXT, primary_key=True),
    Column("jti", TEXT, primary_key=True),
    Column("expires_utc", Double, nullable=False),
    Index("spent_tokens_by_expiry", "expires_utc"),
    sqlite_with_rowid=False,
)

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("source", TEXT, primary_key=True),
    Column("key", TEXT, primary_key=True),
    required_text("digest"),
    Column("begun_utc", Double, nullable=False),
    Column("claim", TEXT, nullable=True),
    Column("claimant", TEXT, nullable=True),
    Column("status", WHOLE, nullable=True),
    Column("body", TEXT, nullable=True),
    Index("deliveries_by_age", "begun_utc"),
)
"""``status`` is null while the delivery is in progress, for who made the ``claim``; the
``claimant`` is the process, or its session, whose end sets the delivery free."""

WEARABLE_ALERTS = Table(
    "wearable_alerts",
    METADATA,
    Column("tenant", TEXT, primary_key=True),
    Column("fhir_base", TEXT, primary_key=True),
    Column("patient_id", TEXT, primary_key=True),
    Column("source", TEXT, primary_key=True),
    Column("id", TEXT, primary_key=True),
    required_whole("rev"),
    required_text("type"),
    required_text("metric"),
    Column("value", Double, nullable=True),
    required_text("unit"),
    required_text("stat"),
    Column("threshold", Double, nullable=True),
    required_text("start"),
    Column("end", TEXT, nullable=True),
    Column("start_utc", Double, nullable=False),
    Column("end_utc", Double, nullable=True),
    required_text("opened"),
    required_text("status"),
    required_text("origin"),
    required_text("device"),
    Column("coverage", Double, nullable=True),
    Column("n", WHOLE, nullable=True),
    Column("local", Boolean, nullable=False),
    Column("link", WHOLE, nullable=False, server_default="0"),
    *(
        Column(name, TEXT, nullable=False, server_default="")
        for name in ("detector", "version", "closing", "replaced_by")
    ),
    Column("last_utc", Double, nullable=True),
    Column("median", Double, nullable=True),
    Column("stored_us", WHOLE, nullable=True),
    Column("historical", Boolean, nullable=False, server_default=false()),
)
"""``start`` keeps the offset that the wearer's clock had, where ``local``.

From ``detector`` on it is about episodes that a detector has found: ``version`` is the
detector's, ``last_utc`` up to where readings tell of it, ``stored_us`` when it was
first stored, ``replaced_by`` the id of the one in favour of which it was taken back.
"""

# Written out: an index of some rows serves those who ask in its own words.
HOLDS = WEARABLE_ALERTS.c.status != literal_column("'retracted'")
OPEN = WEARABLE_ALERTS.c.status == literal_column("'open'")
LASTING = and_(OPEN, WEARABLE_ALERTS.c.detector != literal_column("''"))
for _name, _columns, _rows in (
    ("alerts_by_end", (*_PATIENT, "end_utc", "start_utc"), HOLDS),
    ("alerts_that_last", _PATIENT, OPEN),
    ("alerts_by_age", ("end_utc", "start_utc"), None),
    ("episodes_that_last", ("last_utc",), LASTING),
):
    Index(
        _name,
        *(WEARABLE_ALERTS.c[each] for each in _columns),
        sqlite_where=_rows,
        postgresql_where=_rows,
    )

CONSENTS = Table(
    "consents",
    METADATA,
    Column("tenant", TEXT, primary_key=True),
    Column("fhir_base", TEXT, primary_key=True),
    Column("patient_id", TEXT, primary_key=True),
    Column("id", TEXT, primary_key=True),
    required_text("updated"),
    required_text("source"),
    required_text("resource"),
)
"""``resource`` is JSON: the members of the Consent that matter here."""

CONSENT_GUARDS = Table(
    "consent_guards",
    METADATA,
    Column("tenant", TEXT, primary_key=True),
    Column("fhir_base", TEXT, primary_key=True),
    Column("patient_id", TEXT, primary_key=True),
)
"""A row to lock where several may write: one that is not there cannot be locked."""

CALLS = Table(
    "calls",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    required_text("at"),
    required_text("tenant"),
    required_text("client"),
    required_text("service"),
    required_text("hook"),
    required_text("hook_instance"),
    required_text("fhir_base"),
    required_text("patient_id"),
    Column("user", TEXT, nullable=True),
    Column("encounter", TEXT, nullable=True),
    required_text("rulebook"),
    required_text("sources"),
    required_text("evaluations"),
    required_text("deviations"),
    Index("calls_by_time", "at"),
)
"""What a call rested on (``rulebook``, ``sources``, ``evaluations``, ``deviations``) is
in its row of the audit trail, and here only of calls of before, as JSON."""

CARDS = Table(
    "cards",
    METADATA,
    Column("uuid", TEXT, primary_key=True),
    required_whole("call_id"),
    required_text("tenant"),
    required_text("client"),
    required_text("service"),
    required_text("fhir_base"),
    required_text("patient_id"),
    required_text("rule"),
    required_text("version"),
    required_text("dedup_key"),
    required_text("indicator"),
    required_text("shown_at"),
    Column("evidence", TEXT, nullable=True),
    Column("key_digest", WHOLE, nullable=False, server_default="0"),
    Index("cards_by_key", "key_digest", "shown_at"),
    Index("cards_by_patient_and_time", *_PATIENT, "shown_at"),
    Index("cards_by_call", "call_id"),
)
"""``evidence`` is a JSON list of references; null where it was not kept yet. What
``key_digest`` is stands in ``rows.py``: an index of the keys themselves, with their
patient, would be as large as the table."""

SUPPRESSIONS = Table(
    "suppressions",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    required_whole("call_id"),
    required_text("rule"),
    required_text("version"),
    required_whole("card_index"),
    required_text("dedup_key"),
    required_text("why"),
    Column("until", TEXT, nullable=True),
    required_text("detail"),
    Column("indicator", TEXT, nullable=True),
    Column("told_under", TEXT, nullable=True),
    Index("suppressions_by_call", "call_id"),
)
"""Cards that were held back; whose they were, and when, stands in ``calls``. What stood
as a line on the card of the rule ``told_under`` was shown in that form."""

CARD_REFERENCES = Table(
    "card_references",
    METADATA,
    Column("digest", TEXT, primary_key=True),
    required_whole("call_id"),
    *map(required_text, ("card", "tenant", "client", "fhir_base", "patient_id")),
    Column("user", TEXT, nullable=True),
    required_text("page"),
    required_text("at"),
    Column("until_utc", Double, nullable=False),
    required_text("sealed"),
    Index("references_by_patient", *_PATIENT),
    Index("references_by_end", "until_utc"),
    Index("references_by_call", "call_id"),
)
"""What links of cards refer to, until then. ``digest`` is of what the link bears, and
``sealed`` the card as it was answered, and why: encrypted."""

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("digest", TEXT, primary_key=True),
    required_text("received_at"),
    required_text("tenant"),
    required_text("client"),
    required_text("service"),
    required_text("card"),
    required_text("outcome"),
    required_text("outcome_at"),
    required_text("accepted_suggestions"),
    Column("reason_system", TEXT, nullable=True),
    Column("reason_code", TEXT, nullable=True),
    Column("reason_display", TEXT, nullable=True),
    Column("user_comment", TEXT, nullable=True),
    Column("known_card", Boolean, nullable=False),
    Column("rule", TEXT, nullable=True),
    Column("version", TEXT, nullable=True),
    Index("feedback_by_rule", "rule", "version"),
    Index("feedback_by_card", "card"),
)
"""``digest`` is of what was said and by whom: said twice, it is kept once."""

AUDIT = Table(
    "audit",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    required_text("writer"),
    required_whole("sequence"),
    required_text("previous_hash"),
    required_text("hash"),
    required_text("at"),
    required_text("kind"),
    required_text("tenant"),
    required_text("client"),
    required_text("fhir_base"),
    required_text("patient_id"),
    required_text("detail"),
    required_whole("version"),
    required_text("pseudonym"),
    required_text("salt"),
    required_text("body_digest"),
    UniqueConstraint("writer", "sequence", name="audit_one_chain_a_writer"),
)
"""``body_digest`` is empty while the body is there, from which it follows."""

AUDIT_SEALS = Table(
    "audit_seals",
    METADATA,
    Column("number", WHOLE, primary_key=True, autoincrement=False),
    required_text("writer"),
    required_whole("first"),
    required_whole("last"),
    required_text("hash_before"),
    required_text("hash_last"),
    required_text("newest"),
    required_text("previous"),
    required_text("digest"),
    required_text("at"),
    Column("pruned", TEXT, nullable=True),
    UniqueConstraint("writer", "last", name="audit_seals_by_writer"),
)
"""Rows of one writer, from ``first`` to ``last``; they are gone where ``pruned``."""

PATIENT_KEYS = Table(
    "patient_keys",
    METADATA,
    Column("tenant", TEXT, primary_key=True),
    Column("fhir_base", TEXT, primary_key=True),
    Column("patient_id", TEXT, primary_key=True),
    required_text("key"),
)
"""By which patients have pseudonyms; 32 bytes in hexadecimal."""

RULEBOOKS = Table(
    "rulebooks",
    METADATA,
    Column("digest", TEXT, primary_key=True),
    required_text("files"),
    required_text("checked"),
)
"""``files`` is a JSON object, path to text, without the tests of the rules; ``checked``
is the digest of all files, tests included, with which this set passed its tests."""

PUBLICATIONS = Table(
    "publications",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    required_text("digest"),
    required_text("at"),
    required_text("publisher"),
    required_whole("rules"),
)
"""The newest row names the rulebook that every process serves."""

REFUSALS = Table(
    "refusals",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    required_text("at"),
    required_text("publisher"),
    required_text("checked"),
    required_text("findings"),
    Column("until", TEXT, nullable=True),
)
"""Rules that were not published; ``until`` is null while nothing good came after."""

CONFIGURATIONS = Table(
    "configurations",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    required_text("at"),
    required_text("server"),
    required_text("digest"),
    required_text("inventory"),
)
"""What servers were started with; ``digest`` is the SHA-256 of ``inventory``, a JSON
object that holds no secret."""

LEASES = Table(
    "leases",
    METADATA,
    Column("name", TEXT, primary_key=True),
    required_text("holder"),
    Column("until_utc", Double, nullable=False),
    Column("epoch", WHOLE, nullable=False, server_default="1"),
)
"""Who alone may do what only one process may do, and until when; ``epoch`` grows with
each new holder."""

PROBES = Table(
    "probes",
    METADATA,
    Column("node", TEXT, primary_key=True),
    Column("at_utc", Double, nullable=False),
    Column("filler", LargeBinary, nullable=False),
)
"""A row a machine, written again and again to see whether anything can be."""

MARKS = Table(
    "marks",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("at_utc", Double, nullable=False),
)
"""Up to when what was kept has been forgotten; a mark is never lowered."""

UNFINISHED_COPIES = Table(
    "unfinished_copies",
    METADATA,
    Column("source", TEXT, primary_key=True),
    required_text("begun"),
)
"""A row while another database is copied into this one, which is not whole yet."""
