"""What an error of S3, of Google Cloud Storage or of the network means: whether to try again, and what to tell the user.

Errors are told apart by their codes and by the names of their classes, so that nothing here needs the packages that
raise them. Their texts may hold keys and signed addresses, and are never repeated.
"""

import errno
import os
from collections.abc import Iterator

_MEND = "check the credentials and the bucket's policy"
_RENEW = (
    "sign in again (aws sso login, gcloud auth application-default login) or renew AWS_SESSION_TOKEN, and repeat it"
)
_CODES = {
    "ExpiredToken": f"the credentials have expired. Next: {_RENEW}",
    "ExpiredTokenException": f"the credentials have expired. Next: {_RENEW}",
    "TokenRefreshRequired": f"the credentials have expired. Next: {_RENEW}",
    "AccessDenied": "access is denied. Next: let this user list, read, write and delete there "
    "(s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject), or take other credentials",
    "InvalidAccessKeyId": "the server does not know the access key. Next: check AWS_ACCESS_KEY_ID and AWS_PROFILE",
    "InvalidToken": f"the session token is not valid. Next: {_RENEW}",
    "SignatureDoesNotMatch": "the secret key is wrong. Next: check AWS_SECRET_ACCESS_KEY",
    "RequestTimeTooSkewed": "this machine's clock is wrong. Next: set it",
    "PermanentRedirect": "the bucket is in another region. Next: set AWS_DEFAULT_REGION to it",
    "AuthorizationHeaderMalformed": "the bucket is in another region. Next: set AWS_DEFAULT_REGION to it",
    "NoSuchBucket": "the bucket does not exist. Next: check its name, or create it",
    "InvalidBucketName": "no bucket can have this name. Next: check it",
    "QuotaExceeded": "the store's quota is used up. Next: ask for more, or remove what is old",
}
"""Code of an answer of S3 -> what it means."""

_AGAIN_CODES = {
    "ConditionalRequestConflict",
    "IncompleteBody",
    "InternalError",
    "OperationAborted",
    "RequestLimitExceeded",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
}
_AGAIN_STATUS = {408, 429, 500, 502, 503, 504}
_AGAIN_KINDS = {
    "ChecksumError",
    "ChunkedEncodingError",
    "ClientConnectionError",
    "ClientPayloadError",
    "ConnectionError",
    "HTTPClientError",
    "IncompleteRead",
    "IncompleteReadError",
    "ProxyError",
    "ResponseParserError",
    "ResponseStreamingError",
    "TimeoutError",
    "TransportError",
}
_FINAL_KINDS = {"ClientConnectorCertificateError", "ClientConnectorSSLError", "SSLError", "NoCredentialsError"}
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"}
_EXPIRED = {"RefreshError", "TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError"}
_CERTIFICATE = {"ClientConnectorCertificateError", "ClientConnectorSSLError", "SSLError"}
_UNREACHABLE = {"EndpointConnectionError", "ClientConnectorError", "ConnectionError", "ConnectTimeoutError"}
_LATE = {"TimeoutError", "ReadTimeoutError", "ServerTimeoutError"}


def transient(error: BaseException) -> bool:
    """Whether the same request may do in a moment: a broken connection, a time-out, 408, 429, 5xx, SlowDown.

    Not where access is refused, nothing is there, or the credentials are missing or over.
    """
    for cause in _causes(error):
        status, code, kinds = _status(cause), _code(cause), _kinds(cause)
        if status in _AGAIN_STATUS or code in _AGAIN_CODES or code in ("503", "500", "429"):
            return True
        if status is not None or code in _CODES or kinds & (_FINAL_KINDS | _EXPIRED | _NO_CREDENTIALS):
            return False
        if kinds & _AGAIN_KINDS:
            return True
    return False


def refused(error: BaseException) -> bool:
    """Whether the server knows who asks, or that nobody does, and says no."""
    return any(
        _status(cause) in (401, 403) or isinstance(cause, PermissionError) or str(cause).startswith("Forbidden:")
        for cause in _causes(error)
    )


def code_of(error: BaseException) -> str:
    """S3's code in an error or what caused it, as `NoSuchBucket`; nothing where there is none."""
    return next((code for cause in _causes(error) if (code := _code(cause))), "")


def full(error: BaseException) -> bool:
    """Whether this machine's disk is full, or its owner's share of it."""
    return any(isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT) for cause in _causes(error))


def reason(error: BaseException) -> str:
    """What happened and what to do, without anything of the error's own text."""
    kinds = {kind for cause in _causes(error) for kind in _kinds(cause)}
    if (code := code_of(error)) in _CODES:
        return _CODES[code]
    if kinds & _NO_CREDENTIALS:
        return "there are no credentials. Next: set AWS_PROFILE, AWS_ACCESS_KEY_ID or GOOGLE_APPLICATION_CREDENTIALS"
    if kinds & _EXPIRED or any(_status(cause) == 401 for cause in _causes(error)):
        return f"the credentials are not valid, or no longer. Next: {_RENEW}"
    if refused(error):
        return f"the server refuses it. Next: {_MEND}"
    if kinds & _CERTIFICATE:
        return "the server's certificate is not trusted. Next: check the address, AWS_CA_BUNDLE and the proxy"
    if kinds & _UNREACHABLE:
        return "the server can't be reached. Next: check the network, AWS_ENDPOINT_URL and STORAGE_EMULATOR_HOST"
    if kinds & _LATE:
        return "the server did not answer in time. Next: try again"
    if transient(error):
        return "the server can't answer now. Next: try again in a few minutes"
    if "FileExpired" in kinds:
        return "the object was changed while it was read. Next: run again when it is complete"
    if full(error):
        return "this machine's disk is full. Next: make room, or take another one"
    number = getattr(error, "errno", None)
    said = os.strerror(number) if isinstance(number, int) else f"{type(error).__name__}"
    return f"{said}. Next: check that the path is right and can be read"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _status(error: BaseException) -> int | None:
    """The HTTP status of an answer of S3 (botocore) or of Google (gcsfs), as far as the error has it."""
    response = getattr(error, "response", None)
    found = response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None
    found = found if found is not None else getattr(error, "code", None)
    text = str(found)
    return int(text) if text.isdigit() else None


def _code(error: BaseException) -> str:
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
