"""What the trace says of a delivery through a vendor: the vendor's code and words, and what was done."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from clarion.channels.base import (
    Accepted,
    ConfigError,
    InvalidToken,
    NotRecallable,
    PayloadError,
    RateLimited,
    Recalled,
    RecallOutcome,
    RecallUnknown,
    Retry,
    SendOutcome,
    Superseded,
    Unknown,
)
from clarion.delivery.states import LEFT_TO_LINK, Outcome
from clarion.delivery.vendors.verdicts import Step, Verdict
from clarion.delivery.vendors.waiting import Waiting

MAX_DETAIL = 300
"""Most characters of a detail."""

OUTCOME_OF: Mapping[type, Outcome] = {
    Accepted: Outcome.TAKEN,
    InvalidToken: Outcome.INVALID_TOKEN,
    Retry: Outcome.VENDOR_TROUBLE,
    RateLimited: Outcome.RATE_LIMITED,
    PayloadError: Outcome.REJECTED,
    Superseded: Outcome.SUPERSEDED,
    ConfigError: Outcome.MISCONFIGURED,
    Unknown: Outcome.FATE_UNKNOWN,
}
"""What the trace calls a vendor's outcome."""

_REPEAT = "It is sent again, and may come twice."
_CUT_OFF = "The server stopped during an earlier attempt, so it may have come twice."


class Judged(msgspec.Struct, frozen=True, gc=False):
    """A delivery with its outcome and what follows from it."""

    waiting: Waiting
    outcome: SendOutcome
    verdict: Verdict


class Wording(msgspec.Struct, frozen=True, gc=False):
    """The outcome's name, the vendor's code (of a message that was taken, its id there), and a detail."""

    outcome: Outcome
    code: str
    detail: str


def wording(judged: Judged) -> Wording:
    """What is said of a delivery."""
    waiting, outcome, verdict = judged.waiting, judged.outcome, judged.verdict
    if type(outcome) is Accepted and not outcome.notes and not waiting.cut_off:
        return Wording(Outcome.TAKEN, outcome.vendor_id, "")  # what is said most often
    if isinstance(outcome, Accepted):
        code, parts = outcome.vendor_id, [_sentence("; ".join(outcome.notes))]
    else:
        code, parts = outcome.code, [_sentence(outcome.text)]
    if verdict.step is Step.LINK:
        parts.append(LEFT_TO_LINK)
    elif verdict.repeat:
        parts.append(_REPEAT)
    if waiting.cut_off:
        parts.append(_CUT_OFF)
    detail = " ".join(filter(None, parts))
    kept = isinstance(outcome, InvalidToken) and not verdict.drop_token
    return Wording(Outcome.TOKEN_KEPT if kept else OUTCOME_OF[type(outcome)], code, detail[:MAX_DETAIL])


def _sentence(text: str) -> str:
    """A vendor's words as a sentence, which others may follow."""
    text = text.strip()
    return text if not text or text[-1] in ".!?。" else f"{text[0].upper()}{text[1:]}."


def recall_wording(answer: RecallOutcome) -> Wording:
    """What is said of a message that a vendor was asked to take back."""
    match answer:
        case Recalled():
            return Wording(Outcome.RECALLED, "", "")
        case NotRecallable(code, text):
            return Wording(Outcome.NOT_RECALLABLE, code, text)
        case RecallUnknown(code, text):
            return Wording(Outcome.RECALL_UNKNOWN, code, text)
