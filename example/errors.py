"""The project's errors: what went wrong, in words and with a stable code.

Owns the tree and the codes. HTTP statuses are the web adapter's business (``web/errors.py``), exit codes the command line's.
A message says what is wrong, with which value, and what to do.
"""

from __future__ import annotations

from typing import Any, ClassVar


class PackageMasterError(Exception):
    """Base of every error that a caller is told about.

    ``code`` is stable for programs; ``str(error)`` is for people; ``extra`` holds machine-readable members that are shown too.
    """

    code: ClassVar[str] = "internal_error"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra
        self.actor: object = None
        """Who was refused, where that was proven: for the audit, never for the answer."""


class Unauthenticated(PackageMasterError):
    """No usable credentials: RFC 9110, 401."""

    code = "credentials_missing"


class TokenMalformed(Unauthenticated):
    """The text is not a token of this service (format or checksum)."""

    code = "token_malformed"


class TokenInvalid(Unauthenticated):
    """No token with this id and secret."""

    code = "token_invalid"


class LoginFailed(Unauthenticated):
    """No account with this name and password: the same for both."""

    code = "login_failed"


class TokenExpired(Unauthenticated):
    """The token was right and its time is over."""

    code = "token_expired"


class TokenRevoked(Unauthenticated):
    """The token was right and somebody revoked it."""

    code = "token_revoked"


class Forbidden(PackageMasterError):
    """Known caller, not allowed: RFC 9110, 403."""

    code = "forbidden"


class InsufficientScope(Forbidden):
    """The token lacks the scope that the operation declares."""

    code = "insufficient_scope"


class InsufficientRole(Forbidden):
    """The caller's role in the workspace doesn't grant the operation."""

    code = "insufficient_role"


class ResourceNotInToken(Forbidden):
    """The token is limited to other resources."""

    code = "resource_not_in_token"


class IpNotAllowed(Forbidden):
    """The token may not be used from this address."""

    code = "ip_not_allowed"


class Invalid(PackageMasterError):
    """Input that can't be used; ``field`` names where."""

    code = "validation_error"

    def __init__(self, field: str, detail: str, **extra: Any) -> None:
        super().__init__(detail, errors=[{"field": field, "message": detail}], **extra)


class NotFound(PackageMasterError):
    """There is none, or the caller may not see it: the same answer."""

    code = "not_found"


class Conflict(PackageMasterError):
    """The request is fine and the state of the resource forbids it."""

    code = "conflict"


class PackageExists(Conflict):
    """(source, name, version) is taken in this workspace."""

    code = "package_exists"


class InvalidTransition(Conflict):
    """The package's status doesn't allow this verb."""

    code = "invalid_status"


class PackageBusy(Conflict):
    """A job is working on the package."""

    code = "package_busy"


class ActivationFailed(Conflict):
    """The new generation could not go live; the detail says what is live now."""

    code = "activation_failed"


class EnvironmentBusy(Conflict):
    """Another change of the environment did not finish in time."""

    code = "environment_busy"


class JobFinished(Conflict):
    """The job has ended; there is nothing to cancel."""

    code = "job_finished"


class AccountExists(Conflict):
    """The user name or e-mail address is taken."""

    code = "account_exists"


class WorkspaceExists(Conflict):
    """The workspace's name is taken."""

    code = "workspace_exists"


class LastOwner(Conflict):
    """A workspace keeps at least one owner."""

    code = "last_owner"


class WorkspaceNotEmpty(Conflict):
    """Only empty workspaces are deleted unasked."""

    code = "workspace_not_empty"


class RateLimited(PackageMasterError):
    """Too many requests: RFC 6585, 429. ``retry_after`` in seconds."""

    code = "rate_limited"


class StorageFull(PackageMasterError):
    """No space left where data or the store lives: RFC 4918, 507."""

    code = "storage_full"


class Unavailable(PackageMasterError):
    """Something that the operation needs is missing or down."""

    code = "service_unavailable"


class SchemaMismatch(PackageMasterError):
    """The database was migrated by a newer release, or belongs to another SECRET_KEY: refuse to start."""

    code = "schema_mismatch"
