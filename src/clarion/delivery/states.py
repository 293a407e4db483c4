"""The states of a message and of a hop, each machine in one place."""

from __future__ import annotations

from enum import Enum, IntEnum


class MessageStatus(IntEnum):
    """Where a message stands; numbers as the service documents them.

    Source: message status codes of the MPS console; `MSG_EXPIRED` and `EXCEPTION` from the service's own enum.
    `REVOKED`, for which no number is known, is this server's own, beside it.
    """

    WAITING_FOR_VERIFY = -1
    DEVICE_NOT_ONLINE_OR_NO_RESPONSE = 0
    NO_BIND_INFO = 1
    ACKED = 2
    EXCEPTION = 1000
    MSG_EXPIRED = 8006
    REVOKED = 8020
    NONE = 99999999

    @property
    def label(self) -> str:
        """The documented name, such as `DeviceNotOnlineOrNoResponse`."""
        return "NONE" if self is MessageStatus.NONE else "".join(p.capitalize() for p in self.name.split("_"))


OPEN = frozenset({MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE, MessageStatus.NO_BIND_INFO})
"""States from which a message may still be delivered; the store's partial index says the same."""

_ENDS = frozenset({MessageStatus.ACKED, MessageStatus.EXCEPTION, MessageStatus.MSG_EXPIRED, MessageStatus.REVOKED})

MOVES: dict[MessageStatus, frozenset[MessageStatus]] = {
    MessageStatus.WAITING_FOR_VERIFY: OPEN | {MessageStatus.MSG_EXPIRED, MessageStatus.REVOKED},
    MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE: frozenset({MessageStatus.NO_BIND_INFO}) | _ENDS,
    MessageStatus.NO_BIND_INFO: frozenset({MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE}) | _ENDS,
    MessageStatus.ACKED: frozenset(),
    MessageStatus.EXCEPTION: frozenset(),
    MessageStatus.MSG_EXPIRED: frozenset(),
    MessageStatus.REVOKED: frozenset(),
    MessageStatus.NONE: frozenset(),
}
"""Allowed moves; docs/architecture.md has the diagram that is generated from it."""


class Stage(Enum):
    """A hop of the trace: what the service was doing."""

    ACCEPTED = "accepted"
    PLANNED = "planned"
    SENT = "sent"
    ACKED = "acked"
    ARRIVED = "arrived"
    OPENED = "opened"
    IGNORED = "ignored"
    BOUND = "bound"
    UNBOUND = "unbound"
    EXPIRED = "expired"
    REVOKED = "revoked"
    RECALLED = "recalled"
    RECEIPT = "receipt"
    SMS = "sms"


class Outcome(Enum):
    """How a hop ended, with a cause in plain language and what to do next, if anything."""

    ON_DISK = "on_disk", "The push was committed to the database before it was answered OK.", ""
    QUEUED = (
        "queued",
        "The message is in the device's inbox; it is sent as soon as the device is connected.",
        "Not sent yet: the device has not been connected since. Check that its app runs and reaches the link.",
    )
    NO_BINDING = (
        "no_binding",
        "No device is bound to this user.",
        "The message waits for a bind until it expires; check that the app binds exactly this user id after login.",
    )
    NO_DEVICE = (
        "no_device",
        "No device has registered or been reported with this id.",
        "Check the device id against PushQueryDeviceState; the message waits until it expires.",
    )
    NO_DEVICE_OF_PLATFORM = (
        "no_device_of_platform",
        "No device of the broadcast's platform has this id, or this user.",
        "Check the id, and the DeliveryType of the broadcast.",
    )
    NOT_IN_AUDIENCE = (
        "not_in_audience",
        "The device is not in the audience: PushStatus and the periods ask for another bind or unbind.",
        "It gets the broadcast if it is bound, or unbound, accordingly before the validity ends.",
    )
    PAGE_TO_COME = (
        "page_to_come",
        "The broadcast has not got to this device yet.",
        "Devices are looked up a thousand at a time, in the order in which they registered; ask again in a moment.",
    )
    CHANNEL_OFF = (
        "channel_off",
        "The message waits for the device link: the app has no enabled channel for the device's vendor token.",
        "`clarion channel list` shows what there is; `channel set` or `channel enable` lets the next push use it.",
    )
    NO_CHANNEL = (
        "no_channel",
        "A live activity is reached through the APNs channel alone, and the app has not set that up.",
        "Set it up with `clarion channel set`: the message is sent then, unless it expires before.",
    )
    NO_ACTIVITY = (
        "no_activity",
        "No device has reported the push token of a live activity with this id.",
        "The message waits for the report (POST /device/activity) until it expires; check the activity id.",
    )
    ACTIVITY_ENDED = (
        "activity_ended",
        "The live activity ended, or its push token is dead, before the message was sent to it.",
        "The message waits for another report of the same activity id (POST /device/activity) until it expires.",
    )
    SUPERSEDED = (
        "superseded",
        "A newer message to the same live activity was waiting as well, and was sent in place of this update.",
        "",
    )
    WRITTEN = (
        "written",
        "The message was written to the device's connection.",
        "No ack came yet. If none follows, the connection was dead: the message is sent again on the next one.",
    )
    DELIVERED = "delivered", "The device acknowledged the message.", ""
    REPORTED = "reported", "The device reported what its user did with the message.", ""
    WITHDRAWN = (
        "withdrawn",
        "The user was unbound from this device before it received the message.",
        "The message waits for the next device that binds the user.",
    )
    TOO_LATE = (
        "too_late",
        "The validity period ended before the message could be delivered.",
        "Raise ExpiredSeconds if the message is still of use later.",
    )

    TAKEN = "taken", "The vendor's service took the message for the device.", ""
    VENDOR_QUEUED = (
        "vendor_queued",
        "The message waits for its turn at the vendor's service.",
        "Not sent yet: the vendor is slow, wants a pause, or its credentials are wrong: try `channel check`.",
    )
    INVALID_TOKEN = (
        "invalid_token",
        "The vendor's service says that the device's vendor token is not good any more; it was forgotten.",
        "The app reports a new token when it is started again, if it is still installed.",
    )
    TOKEN_KEPT = (
        "token_kept",
        "The vendor's service says that the device's vendor token is not good; it was kept all the same.",
        "If many are refused, look whether sandbox and production, or packages, topics or projects are mixed up.",
    )
    VENDOR_TROUBLE = (
        "vendor_trouble",
        "The vendor's service could not take the message just now.",
        "It is sent again, after pauses that grow, until it expires.",
    )
    RATE_LIMITED = (
        "rate_limited",
        "The vendor's service takes no more for the moment, or for today.",
        "It is sent again when the vendor allows; ask the vendor for a larger quota.",
    )
    REJECTED = (
        "rejected",
        "The vendor's service does not take this message.",
        "The vendor's text says why; change the push accordingly.",
    )
    MISCONFIGURED = (
        "misconfigured",
        "The vendor's service does not accept the app's credentials or settings.",
        "Mend them with `clarion channel set`; `clarion channel check` tries them.",
    )
    FATE_UNKNOWN = (
        "fate_unknown",
        "The vendor's service was sent the message and gave no answer that tells whether it took it.",
        "A single push is sent again; a multiple push or broadcast is not, so that nobody gets it twice.",
    )
    CONFIRMED = "confirmed", "The vendor's service reports that the message arrived.", ""
    MUTED = (
        "muted",
        "The vendor's service reports that the message arrived, but the device may not show it.",
        "The user has switched the app's notifications off; only the user can switch them on.",
    )
    HELD = (
        "held",
        "The vendor's service reports that it keeps the message for later.",
        "Another receipt may follow; what the vendor has is not sent again.",
    )
    NOT_ARRIVED = (
        "not_arrived",
        "The vendor's service reports that the message, which it had taken, did not arrive.",
        "The vendor's text says why. It is not sent again.",
    )
    SMS_WAITING = (
        "sms_waiting",
        "An SMS is sent if the push has reached no device and no vendor by then.",
        "",
    )
    SMS_QUEUED = (
        "sms_queued",
        "The SMS waits for its turn at the SMS service.",
        "Not sent yet: the service is slow, wants a pause, or its credentials are wrong: try `channel check`.",
    )
    SMS_NOT_NEEDED = "sms_not_needed", "The push has reached a device or its vendor; no SMS is sent.", ""
    SMS_NO_NUMBER = (
        "sms_no_number",
        "No phone number of the target is known, so no SMS is sent.",
        "Bind the user with PhoneNumber (PushBind, or the device link); the next push has it then.",
    )
    SMS_NO_CHANNEL = (
        "sms_no_channel",
        "The app has no SMS channel that can be used, so no SMS is sent.",
        "Set it up with `clarion channel set`; if it is set up and enabled, the server's log says what is wrong.",
    )
    SMS_TAKEN = "sms_taken", "The SMS service took the SMS.", ""
    SMS_ARRIVED = "sms_arrived", "The SMS reached the phone, says the SMS service.", ""
    SMS_FAILED = (
        "sms_failed",
        "The SMS did not reach the phone, says the SMS service.",
        "The code says why; the number may be switched off, wrong, or on the operator's black list.",
    )
    SMS_WRONG_NUMBER = (
        "sms_wrong_number",
        "What the target was bound with is no phone number; no SMS is sent.",
        "Bind the user with another PhoneNumber.",
    )
    SMS_IN_DOUBT = (
        "sms_in_doubt",
        "The SMS was handed over, but the service's answer was lost: it may have it or not.",
        "Before it is sent again the service is asked whether it has it; its console lists what it sent.",
    )
    REVOKED = "revoked", "The push was revoked before it was delivered; it is not delivered any more.", ""
    RECALL_OWED = (
        "recall_owed",
        "The push was revoked; the device, which has the message or may have it, is asked to remove it.",
        "The device has not confirmed it yet. The request waits seven days for the device to connect.",
    )
    RECALLED = "recalled", "The message was taken back from the device.", ""
    NOT_RECALLABLE = (
        "not_recallable",
        "The push was revoked, but the message cannot be taken back from the device.",
        "It stays where it is; another message may correct it.",
    )
    RECALL_UNKNOWN = (
        "recall_unknown",
        "The push was revoked, but whether the vendor took the message back is not known.",
        "Revoke it again: the vendor is asked once more.",
    )

    def __init__(self, label: str, cause: str, next_step: str) -> None:
        self.label = label
        self.cause = cause
        self.next_step = next_step


LEFT_TO_LINK = "The message goes over to the device link."
"""What a detail says besides the vendor's words, when the next step is not about the vendor any more."""

OUTCOMES = {outcome.label: outcome for outcome in Outcome}
