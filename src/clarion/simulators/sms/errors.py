"""What the SMS service says when it refuses.

Source: RPC protocol, "Common errors"; Short Message Service, "Error codes".
"""

from __future__ import annotations

from typing import NamedTuple


class Refused(Exception):
    """The request is refused.

    Args:
        code: the service's code.
        message: what it says; empty for what it usually says.
    """

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = message or usual_message(code)

    @property
    def status(self) -> int:
        """HTTP status: of the service itself always 200, of the gateway before it never."""
        if self.code.startswith(("isv.", "isp.")):
            return 200
        return GATEWAY[self.code].status if self.code in GATEWAY else 400


class GatewayError(NamedTuple):
    """An error of the gateway: HTTP status and what it says."""

    status: int
    message: str


GATEWAY = {
    "InvalidAction.NotFound": GatewayError(404, "Specified api is not found, please check your url and method."),
    "InvalidVersion": GatewayError(400, "Specified parameter Version is not valid."),
    "InvalidAccessKeyId.NotFound": GatewayError(404, "Specified access key is not found."),
    "InvalidAccessKeyId.Inactive": GatewayError(400, "Specified access key is disabled."),
    "IncompleteSignature": GatewayError(400, "The request signature does not conform to Aliyun standards."),
    "InvalidSignatureMethod": GatewayError(400, "Specified signature method is not valid."),
    "SignatureDoesNotMatch": GatewayError(400, "Specified signature is not matched with our calculation."),
    "SignatureNonceUsed": GatewayError(400, "Specified signature nonce was used already."),
    "InvalidTimeStamp.Expired": GatewayError(400, "Specified time stamp or date value is expired."),
    "InvalidTimeStamp.Format": GatewayError(400, "Specified time stamp or date value is not well formatted."),
    "Throttling.User": GatewayError(400, "Request was denied due to user flow control."),
    "ServiceUnavailable": GatewayError(503, "The request has failed due to a temporary failure of the server."),
    "InternalError": GatewayError(500, "The request processing has failed due to some unknown error."),
    "Forbidden.RAM": GatewayError(403, "User not authorized to operate on the specified resource."),
    "NoPermission": GatewayError(403, "User not authorized to operate on the specified resource."),
}

BUSINESS = {
    "isv.MOBILE_NUMBER_ILLEGAL": "非法手机号",
    "isv.MOBILE_COUNT_OVER_LIMIT": "手机号码数量超过限制",
    "isv.TEMPLATE_MISSING_PARAMETERS": "模板变量中存在未赋值变量",
    "isv.TEMPLATE_PARAMS_ILLEGAL": "模板变量中包含非法参数",
    "isv.PARAM_LENGTH_LIMIT": "参数超过长度限制",
    "isv.PARAM_NOT_SUPPORT_URL": "变量不支持传入URL",
    "isv.INVALID_JSON_PARAM": "参数格式错误，请修改为字符串值",
    "isv.INVALID_PARAMETERS": "参数格式不正确",
    "isv.SMS_CONTENT_ILLEGAL": "短信内容包含禁止发送内容",
    "isv.BLACK_KEY_CONTROL_LIMIT": "变量中传入疑似违规信息",
    "isv.SMS_TEMPLATE_ILLEGAL": "短信模板不合法",
    "isv.SMS_SIGNATURE_ILLEGAL": "短信签名不合法",
    "isv.SMS_SIGN_ILLEGAL": "签名禁止使用",
    "isv.SMS_SIGNATURE_SCENE_ILLEGAL": "签名和模板类型不一致",
    "isv.SIGN_STATE_ILLEGAL": "签名状态不可用",
    "isv.EXTEND_CODE_ERROR": "扩展码使用错误",
    "isp.RAM_PERMISSION_DENY": "RAM权限不足",
    "isv.PRODUCT_UN_SUBSCRIPT": "未开通云通信产品的阿里云客户",
    "isv.PRODUCT_UNSUBSCRIBE": "产品未开通",
    "isv.ACCOUNT_NOT_EXISTS": "账户不存在",
    "isv.ACCOUNT_ABNORMAL": "账户异常",
    "isv.OUT_OF_SERVICE": "业务停机",
    "isv.AMOUNT_NOT_ENOUGH": "账户余额不足",
    "isv.DENY_IP_RANGE": "源IP地址所在的地区被禁用",
    "isv.DOMESTIC_NUMBER_NOT_SUPPORTED": "国际/港澳台消息模板不支持发送境内号码",
    "isv.BUSINESS_LIMIT_CONTROL": "触发分钟级流控Permits:1",
    "isv.DAY_LIMIT_CONTROL": "触发日发送限额",
    "isv.MONTH_LIMIT_CONTROL": "触发月发送限额",
    "isp.SYSTEM_ERROR": "系统错误",
}


def usual_message(code: str) -> str:
    """What the service says with a code."""
    return GATEWAY[code].message if code in GATEWAY else BUSINESS.get(code, code)


def missing(name: str) -> Refused:
    """A mandatory parameter is not there."""
    return Refused(f"Missing{name}", f"{name} is mandatory for this action.")


def invalid(name: str) -> Refused:
    """A parameter has a value that it cannot have."""
    return Refused(f"Invalid{name}", f"Specified parameter {name} is not valid.")
