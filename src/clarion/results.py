"""Business result codes of the API: one table, used by every capability and every face.

Source: the result-code table of the MPS server-API documentation. Texts are the memos of the original
service where they are known; docs/errors.md is generated from this table.
"""

from __future__ import annotations

from enum import Enum


class ResultCode(Enum):
    """A business result: `(code on the wire, message text, what triggers it)`."""

    SUCCESS = "OK", "success", "the request was carried out"
    SIGNATURE_MISMATCH = "-1", "signature mismatch", "legacy REST interface only"
    NEED_DELIVERYTOKEN = "3001", "need token", "DeliveryToken is empty"
    NEED_FILE = "3002", "need batch file", "the audience file is empty (console)"
    NEED_APPID_WORKSPACEID = "3003", "need appid or workspaceid", "AppId or WorkspaceId is empty"
    APPID_WRONG = "3007", "wrong appid", "no app with this AppId and WorkspaceId"
    OS_TYPE_NOT_SUPPORTED = "3008", "ostype not support", "OsType is none of 1 Android, 2 iOS, 7 HarmonyOS"
    DELIVERY_TYPE_NOT_SUPPORTED = "3009", "delivery not support", "DeliveryType is none of 1, 2, 3, 5, 6, 7"
    NEED_USERID = "3012", "need userid", "UserId is empty"
    TASKNAME_NULL = "3019", "taskname can't be null", "TaskName is absent or empty"
    EXPIREDSECONDS_WRONG = "3020", "'expiredseconds' wrong value", "ExpiredSeconds is not a positive number"
    TOKEN_OR_USERID_NULL = (
        "3021",
        "'token_or_userid' can't be null",
        "no target, an empty target or an empty msgKey",
    )
    TEMPLATE_NOT_EXIST = "3022", "template not exist", "no template of this name or id"
    TEMPLATEKV_NOT_ENOUGH = "3023", "'templatekv' not enough", "a placeholder of the template has no value"
    PAYLOAD_NOT_ENOUGH = "3024", "'title' or 'content' can't be null", "Title or Content is empty"
    NEED_TEMPLATE = "3025", "need template", "TemplateName is empty"
    EXPIREDTIME_TOO_LONG = "3026", "expiredtime too long", "ExpiredSeconds is over the maximum"
    INVALID_PARAM = "3028", "param is invalid", "a parameter has a value outside its documented set"
    SINGLE_PUSH_TARGET_TOO_MUCH = "3029", "too many targets", "TargetMsgkey has more than 10 entries"
    BROADCAST_ONLY_SUPPORT_BY_DEVICE = "3030", "broadcast only support by device", "a broadcast to users"
    REQUEST_SHOULD_BE_UTF8 = "3031", "request should be utf-8", "a parameter is not UTF-8"
    REST_API_SWITCH_NOT_OPEN = "3032", "rest api switch not open", "the push API is switched off for the app"
    UNKNOWN_REST_SIGN_TYPE = "3033", "unknown sign type", "legacy REST interface only"
    EXTEND_PARAM_TO_MUCH = "3035", "too many extend params", "ExtendedParams has more than 20 keys"
    TEMPLATE_ALREADY_EXIST = "3036", "template already exist", "a template has this name"
    TEMPLATE_NAME_NULL = "3037", "template name null", "TemplateName is empty"
    TEMPLATE_NAME_INVALID = "3038", "template name invalid", "over 200 characters, or a character not allowed"
    TEMPLATE_CONTENT_INVALID = "3039", "template content invalid", "the body is empty or too long"
    TEMPLATE_TITLE_INVALID = "3040", "template title invalid", "the title is empty or too long"
    TEMPLATE_DESC_INFO_INVALID = "3041", "template desc invalid", "DescInfo is empty or over 200 characters"
    TEMPLATE_URI_INVALID = "3042", "template uri invalid", "the redirect address is not valid"
    SINGLE_PUSH_CONTENT_TOO_LONG = "3043", "content too long", "Content is over the size of a message"
    INVALID_EXTEND_PARAM = (
        "3044",
        "invalid extend param",
        "ExtendedParams is no JSON map or sets a system key",
    )
    MULTIPLE_INNER_EXTEND_PARAM_TO_MUCH = (
        "3049",
        "too many inner extend params",
        "more than 10 keys for one target",
    )
    MSG_PAYLOAD_TOO_LONG = "3050", "payload too long", "the assembled message is over 2 KB"
    BROADCAST_ALL_USER_NEED_UNBIND_PERIOD = (
        "3051",
        "need unBindPeriod",
        "PushStatus 1 or 2 without UnBindPeriod",
    )
    BROADCAST_ALL_USER_UNBIND_PERIOD_INVALID = "3052", "unBindPeriod invalid", "UnBindPeriod is not 1 to 4"
    BROADCAST_ALL_USER_NOT_SUPPORT_SELFCHANNEL_ANDROID = (
        "3053",
        "not support self channel",
        "PushStatus 1 or 2 with the self-built channel forced on Android",
    )
    DELIVERYTOKEN_INVALID = "3054", "token invalid", "the device token is malformed"
    MULTIPLE_TARGET_NUMBER_TOO_MUCH = "3055", "too many targets", "more than 400 TargetMsg entries"
    TEMPLATE_NUM_TOO_MUCH = "3056", "too many templates", "the app has 100 templates"
    ANDROID_CHANNEL_PARAM_INVALID = "3057", "androidChannel invalid", "AndroidChannel has an unknown value"
    BADGE_ADD_NUM_INVALID = "3058", "badge_add_num invalid", "badge_add_num is not a positive integer"
    BADGE_ADD_NUM_NEED_BADGE_CLASS = (
        "3059",
        "badge_add_num need badge_class",
        "badge_add_num without badge_class",
    )
    FLOW_CONTROL_ERROR = "8011", "flow control", "the rate limit of the app"
    INVALID_INSTANCE_ID = (
        "8012",
        "illegal instanceId",
        "no app with this AppId and WorkspaceId (template, device state)",
    )
    INVALID_TENANT_ID = "8013", "illegal tenantId", "TenantId does not fit the app"
    ACCOUNT_NO_PERMISSION = "8014", "no permission", "the account does not own the app"
    SYSTEM_ERROR = "9000", "system error", "an internal failure; the request was not carried out"

    def __init__(self, code: str, text: str, trigger: str) -> None:
        self.code = code
        self.text = text
        self.trigger = trigger


class Refusal(Exception):
    """A request that the business rules turn down.

    Args:
        result: the documented code.
        hint: what the caller should change; appended to the code's own text.
    """

    def __init__(self, result: ResultCode, hint: str = "") -> None:
        self.result = result
        self.hint = hint
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The text that the caller reads: the documented one, then what to change."""
        return f"{self.result.text}: {self.hint}" if self.hint else self.result.text
