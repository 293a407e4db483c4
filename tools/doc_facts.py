"""What the generated documents say and the program need not know; tables keyed by the program's own names."""

from __future__ import annotations

from clarion.delivery.states import MessageStatus, Stage
from clarion.link.protocol import Failure
from clarion.openapi.errors import GatewayFault

_OLDEST, _MIDDLE, _NEWEST = "2019-08-21", "2020-07-10", "2020-10-28"
_ALL, _NEWER = (_OLDEST, _MIDDLE, _NEWEST), (_MIDDLE, _NEWEST)

ACTIONS = (
    ("PushSimple", _ALL, "one message to each of up to 10 targets"),
    ("PushTemplate", _ALL, "the same, text from a template"),
    ("PushMultiple", _ALL, "a template for up to 400 targets, each with its own values"),
    ("PushBroadcast", _ALL, "a template for every device of a platform"),
    ("PushBind", (_NEWEST,), "give a device a user"),
    ("PushUnBind", (_NEWEST,), "take the user away again"),
    ("PushReport", (_NEWEST,), "tell of a device and its vendor token"),
    ("PushQueryDeviceState", _NEWER, "what is known of a device or user, and whether it is online"),
    ("RevokePushMessage", _NEWER, "withdraw one message"),
    ("RevokePushTask", _NEWER, "withdraw a multiple push or broadcast"),
    ("QueryPushAnalysisCoreIndex", _NEWER, "figures of a period"),
    ("QueryPushAnalysisTaskList", _NEWER, "list of tasks"),
    ("QueryPushAnalysisTaskDetail", _NEWER, "figures of one task"),
    ("QueryPushSchedulerList", _NEWER, "timed and cyclic pushes to come"),
    ("QueryMpsSchedulerList", _NEWER, "the same under its older name"),
    ("CancelPushScheduler", _NEWER, "cancel timed and cyclic pushes"),
    ("CancelMpsScheduler", (_MIDDLE,), "the same under its older name"),
    ("CreateTemplate", _NEWER, "make a template"),
    ("DeleteTemplate", _NEWER, "delete a template"),
    ("GetTemplate", _NEWER, "read a template"),
    ("ListTemplatePage", _NEWER, "list templates"),
)
"""The actions of the API: name, the versions whose official clients have it, what it does."""

_VENDOR = "kept for vendor channels"
_IGNORED = "accepted, not used"
_DETAIL = "at most 128 characters; kept"

_SCHEDULE_LISTS = "QueryPushSchedulerList", "QueryMpsSchedulerList"
_SCHEDULE_LIST = {
    "StartTime": "ms; pushes that are due then or later",
    "EndTime": "ms; pushes that are due then or earlier",
    "Type": "0 simple, 1 template, 2 multiple, 3 broadcast; absent: all",
    "UniqueId": "of a schedule: all its pushes; of one of them: that one",
    "PageNumber": "from 1, the default",
    "PageSize": "1 to 500, the default",
}

_TEMPLATES = ("CreateTemplate", "DeleteTemplate", "GetTemplate", "ListTemplatePage")
_INSTANCES = (*_TEMPLATES, "PushQueryDeviceState")

PARAMETERS = {
    "AppId": "empty: 3003; unknown: 3007",
    "WorkspaceId": "empty: 3003; unknown: 3007",
    **{
        f"{action}.{name}": "empty: 3003; unknown: 8012"
        for action in _INSTANCES
        for name in ("AppId", "WorkspaceId")
    },
    "Title": "empty: 3024",
    "Content": "empty: 3024; at most 2,048 bytes of UTF-8",
    "Uri": "where a tap leads",
    "ChannelId": "passed on to the device",
    "UserId": "at most 256 characters",
    "DeliveryToken": "1 to 512 letters, digits or `_-.:=+/@~`",
    **dict.fromkeys(("AppVersion", "Channel", "ConnectType", "Imei", "Imsi", "Model", "PushVersion"), _DETAIL),
    "DeliveryType": "1 Android, 2 iOS, 7 HarmonyOS device; 3 user; 5 push token, 6 id of a live activity",
    "ExpiredSeconds": "1 to `max_expired_seconds`",
    "TemplateName": "blanks around it do not count; empty: 3025; unknown: 3022",
    "TemplateKeyValue": "JSON map; a placeholder of the template without a value: 3023",
    "TargetMsg": "1 to 400 of `TargetMsg.N.Target`, `.MsgKey`, `.TemplateKeyValue`, `.ExtendedParams`",
    "CreateTemplate.TemplateName": "empty: 3037; over 200 characters or with a comma: 3038; in use: 3036",
    "CreateTemplate.DescInfo": "1 to 200 characters, else 3041",
    "CreateTemplate.Title": "1 to 2,048 characters, else 3040; may have `#placeholders#`",
    "CreateTemplate.Content": "1 to 2,048 characters, else 3039; may have `#placeholders#`",
    "CreateTemplate.Uri": "at most 2,048 characters, else 3042; may have `#placeholders#`",
    "CreateTemplate.Variables": "kept as given; the placeholders are those of the texts",
    "CreateTemplate.ShowStyle": "0, or 1 for silent",
    "CreateTemplate.JumpAction": "0 web address, 1 page of the app",
    "TemplateId": "what CreateTemplate answered as Data; unknown: 3022",
    **dict.fromkeys(
        ("DeleteTemplate.TemplateName", "GetTemplate.TemplateName"), "instead of `TemplateId`, or with it"
    ),
    "ListTemplatePage.CurrentPage": "from 1, the default",
    "ListTemplatePage.PageSize": "1 to 500, 10 by default",
    "PushBroadcast.DeliveryType": "1 Android, 2 iOS, 7 HarmonyOS; 3, 5, 6: 3030",
    "TaskName": "absent or empty: 3019; at most 256 characters",
    "Msgkey": "unique for each broadcast of a platform for 7 days; empty: 3021; at most 256 characters",
    "PushStatus": "0 logged-in devices, 1 all, 2 logged-out ones",
    "BindPeriod": "1, 2, 3: bound within 7, 15, 60 days; 4 (or absent): whenever",
    "UnBindPeriod": "the same for unbound devices; absent with PushStatus 1, 2: 3051",
    "TimeMode": "0 periods, 1 explicit ranges",
    "BindStartTime": "ms; with TimeMode 1",
    "BindEndTime": "ms; with TimeMode 1",
    "UnBindStartTime": "ms; with TimeMode 1",
    "UnBindEndTime": "ms; with TimeMode 1",
    "AndroidChannel": "0 as NotifyType says, 1 or `transparent` own link, 2 or `notify` vendor; else 3057",
    "TargetMsgkey": "JSON map of target to message key, 1 to 10 entries",
    "ExtendedParams": "JSON map of at most 20 keys; reaches the device as given",
    "StrategyType": "0 at once, 1 timed, 2 cyclic ([schedules](schedules.md))",
    "StrategyContent": "JSON map; required with `StrategyType` 1 and 2",
    "NotifyType": "`notify` or `transparent`",
    "PushAction": "0 web address, 1 page of the app",
    "PushStyle": "0, 1 or 2",
    "Silent": "0 or 1; passed on to the device",
    "ImageUrls": "JSON map; the own link uses `defaultUrl`",
    "IconUrls": "JSON map; the own link uses `defaultUrl`",
    "Classification": f"`0` or `1`; {_VENDOR}",
    "ThirdChannelCategory": f"JSON map; {_VENDOR}",
    "NotifyLevel": f"JSON map; {_VENDOR}",
    "MiChannelId": _VENDOR,
    "TransparentMessagePayload": _VENDOR,
    "TransparentMessageUrgency": _VENDOR,
    "VendorTemplate": f"JSON map; {_VENDOR}",
    "ActivityEvent": "`update` (default), `end`, or [`start`](clients.md#live-activities)",
    "ActivityContentState": "JSON object, [types](clients.md#live-activities)",
    "DismissalDate": "seconds since 1970; has an effect with `end` only",
    "SmsStrategy": "0 none, 1 if the push reaches nobody, 2 together with it ([SMS](channels/sms.md))",
    "SmsSignName": "required unless `SmsStrategy` is 0",
    "SmsTemplateCode": "required unless `SmsStrategy` is 0",
    "SmsTemplateParam": "JSON object; required unless `SmsStrategy` is 0",
    "OsType": "1 Android, 2 iOS, 7 (or 3) HarmonyOS",
    "PhoneNumber": "the user's, for SMS; the newest counts, and it outlives the binding",
    "ThirdChannel": "2 Apple, 4 Xiaomi, 5 Huawei, 6 FCM, 7 OPPO, 8 vivo, 9 Honor, 10 HarmonyOS; kept",
    "ThirdChannelDeviceToken": "kept; no vendor channel sends yet",
    **{f"{action}.{name}": does for action in _SCHEDULE_LISTS for name, does in _SCHEDULE_LIST.items()},
    **{
        f"{action}.Type": "0 ids of schedules, 1 ids of single pushes of a cycle"
        for action in ("CancelPushScheduler", "CancelMpsScheduler")
    },
    "UniqueIds": "1 to 30 ids with commas between them",
    "MessageId": "the message key of the push (not its internal id)",
    "TargetId": "the target as it was pushed to: device id or user id",
    "RevokePushTask.TaskId": "what PushMultiple or PushBroadcast answered as Data; at most 7 days old",
    "TenantId": _IGNORED,
    "QueryPushAnalysisCoreIndex.StartTime": "ms; its day in the app's zone is the first one",
    "QueryPushAnalysisCoreIndex.EndTime": "ms; its day is the last one, at most 90 days later",
    "QueryPushAnalysisCoreIndex.TaskId": "a multiple or broadcast push of the app; no such task: zeros",
    "QueryPushAnalysisTaskDetail.TaskId": "a multiple or broadcast push of the app; no such task: zeros",
    "QueryPushAnalysisTaskList.StartTime": "ms; tasks from then on",
    "QueryPushAnalysisTaskList.TaskId": "a number; no such task: an empty list",
    "QueryPushAnalysisTaskList.TaskName": "exactly this name",
    "Platform": "`ANDROID`, `IOS`, `HARMONYOS`; absent for all",
    "QueryPushAnalysisCoreIndex.Channel": "`ANDROID` (the own link), `IOS`, `MIUI`, `HMS`, `FCM`, `OPPO`, `VIVO`, "
    "`HONOR`, `HARMONYOS`; absent for all",
    "QueryPushAnalysisCoreIndex.Type": "`SIMPLE`, `TEMPLATE`, `MULTIPLE`, `BROADCAST`; absent for all",
    "QueryPushAnalysisTaskList.PageNumber": "from 1 (default) to 10,000",
    "QueryPushAnalysisTaskList.PageSize": "1 to 500 (default)",
    **{f"{action}.TenantId": "refused with 8013 if the app has another one" for action in _INSTANCES},
    "PushQueryDeviceState.Target": "device id or user id; empty: 3021",
    "PushQueryDeviceState.TargetType": "1 device, 2 user (not the codes of `DeliveryType`)",
}
"""What a parameter does in this version; `Action.Name` goes before `Name`."""

WHEN = {
    GatewayFault.METHOD_NOT_ALLOWED: "neither GET nor POST",
    GatewayFault.ACTION_NOT_FOUND: "no such action in this version of Clarion, or a path other than `/`",
    GatewayFault.VERSION_INVALID: "a version other than the three",
    GatewayFault.BODY_TOO_LARGE: "a body or query string over 1 MiB",
    GatewayFault.BODY_TIMEOUT: "the body took longer than `body_timeout`",
    GatewayFault.CONTENT_TYPE: "a body of another type",
    GatewayFault.PARAMETERS_TOO_MANY: "more than 2,000 parameters",
    GatewayFault.NAME_TOO_LONG: "a name over 128 bytes",
    GatewayFault.VALUE_HAS_NUL: "a NUL character in a name or value",
    GatewayFault.PARAMETER_MISSING: "a required parameter is absent (`MissingAppId` …); a present but empty one "
    "goes on to the business rules",
    GatewayFault.PARAMETER_INVALID: "a number that is none (`InvalidDeliveryType` …)",
    GatewayFault.KEY_NOT_FOUND: "no such access key",
    GatewayFault.KEY_INACTIVE: "the key was disabled with `clarion key disable`",
    GatewayFault.STS_UNSUPPORTED: "a `SecurityToken` came along",
    GatewayFault.BEARER_UNSUPPORTED: "a bearer token instead of a signature",
    GatewayFault.ID_TOKEN_UNSUPPORTED: "an identity token instead of a signature",
    GatewayFault.SIGNATURE_METHOD: "another signature algorithm",
    GatewayFault.SIGNATURE_INCOMPLETE: "no signature, or a malformed `Authorization`",
    GatewayFault.SIGNATURE_MISMATCH: "wrong secret, or a changed request (signature in the parameters)",
    GatewayFault.HEADER_SIGNATURE_MISMATCH: "the same for ACS3; behind a proxy usually a changed `Host`",
    GatewayFault.NONCE_USED: "the request came before",
    GatewayFault.TIMESTAMP_FORMAT: "not `YYYY-MM-DDThh:mm:ssZ`",
    GatewayFault.TIMESTAMP_EXPIRED: "more than 15 minutes from the server's clock, either way",
    GatewayFault.FORBIDDEN: "the key's role or app does not cover the action",
    GatewayFault.THROTTLED: "the rate limit of the key; `Retry-After` tells when to come back",
    GatewayFault.INTERNAL: "a fault of the server; its log has the request id",
    GatewayFault.UNAVAILABLE: "the database is away before the action began; try again",
}

STATUSES = {
    MessageStatus.WAITING_FOR_VERIFY: "not yet checked (not used in this version)",
    MessageStatus.DEVICE_NOT_ONLINE_OR_NO_RESPONSE: "the device is offline, or has not acknowledged yet",
    MessageStatus.NO_BIND_INFO: "no device is bound to the user",
    MessageStatus.ACKED: "a device has it",
    MessageStatus.MSG_EXPIRED: "its validity ended before any device had it",
    MessageStatus.EXCEPTION: "a vendor does not take it, or its fate there is not known; the trace says which",
    MessageStatus.REVOKED: "it was revoked before any device had acknowledged it",
    MessageStatus.NONE: "unknown (not used in this version)",
}

STAGES = {
    Stage.ACCEPTED: "the push was accepted",
    Stage.PLANNED: "its devices were looked for",
    Stage.SENT: "it was written to a device's connection",
    Stage.ACKED: "a device acknowledged it",
    Stage.ARRIVED: "its device, or a vendor, reported that it arrived",
    Stage.OPENED: "the device's user opened it",
    Stage.IGNORED: "the device's user swiped it away",
    Stage.BOUND: "its user was bound to a device",
    Stage.UNBOUND: "its user was unbound from a device",
    Stage.EXPIRED: "its validity ended",
    Stage.REVOKED: "it was revoked",
    Stage.RECALLED: "a device, or a vendor, answered to its recall",
    Stage.RECEIPT: "a vendor reported what became of it, other than that it arrived",
    Stage.SMS: "what became of the SMS that supplements the push ([SMS](channels/sms.md))",
}

FAILURES = {
    Failure.REPLACED: ("a newer connection of the same device", "nothing: the newer one serves it"),
    Failure.BAD_CREDENTIALS: ("unknown device, or wrong signature", "registers again"),
    Failure.STALE_NONCE: ("the nonce is not this connection's", "signs the nonce of the challenge it was sent"),
    Failure.HELLO_TIMEOUT: ("no good hello within 10 seconds", "reconnects"),
    Failure.TOO_SLOW: ("it did not read what was sent", "reconnects; its messages are kept"),
    Failure.MALFORMED: ("a frame that is none", "is mended"),
    Failure.OUT_OF_TURN: ("a frame before `welcome`, or a second hello", "is mended"),
    Failure.VERSION: ("another version of the protocol", "is mended"),
    Failure.IDLE: ("silent for 1.5 heart-beats", "reconnects; pings more often"),
    Failure.REFUSED: ("the app takes no connections now", "reconnects later"),
    Failure.BINARY: ("a binary message", "is mended"),
    Failure.INTERNAL: ("a fault of the server, or its database is away", "reconnects; nothing is lost"),
}
"""Why the server ends a connection, and what the device does."""
