"""What a person is told when a request did not work out. Owns the wording; the exit code is given out in `session.py`."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

import httpx

START_THE_SERVER = "start the server with `uvicorn example.server:app`, or name another one with --url"
LOG_IN = "run: pkgctl login"
CREDENTIAL_HINT = f"{LOG_IN}, or set PKGCTL_TOKEN (on the machine of a development server: pkgctl token create --save)"


class Refused(Exception):
    """The command can't be done: exit 1. `hint` says what to do next; `status` and `code` are the server's, when it decided."""

    def __init__(self, message: str, *, hint: str | None = None, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status
        self.code = code


def explain(response: httpx.Response) -> Refused:
    """Turn an answer that is not a success into words: RFC 9457 when it is one, else the status and the first line."""
    problem = _problem(response)
    if problem is None:
        return foreign(response)
    lines = [str(problem["detail"]), *_fields(problem.get("errors"))]
    if response.status_code >= 500 and problem.get("request_id"):
        lines[0] += f" (request {problem['request_id']})"
    return Refused("\n".join(lines), hint=_hint(response), status=response.status_code, code=code_of(response))


def code_of(response: httpx.Response) -> str | None:
    """The stable code of a refusal, when it has one."""
    code = (_problem(response) or {}).get("code")
    return code if isinstance(code, str) else None


def foreign(response: httpx.Response, wanted: str = "JSON") -> Refused:
    """An answer that this API doesn't give: a proxy's page, a redirect, another program on that port."""
    answer = f"{response.status_code} {response.reason_phrase}".strip()
    if response.has_redirect_location:
        return Refused(
            f"{_place(response)} answered {answer}: moved to {response.headers['location']}", hint="name the new place with --url"
        )
    first = next((text.strip() for text in response.text.splitlines() if text.strip()), "an empty body")
    return Refused(
        f"{_place(response)} answered {answer} instead of {wanted}: {first[:200]}", hint=_hint(response), status=response.status_code
    )


def unreachable(url: str, error: httpx.HTTPError) -> Refused:
    """No answer at all. One line that names the URL."""
    if isinstance(error, httpx.ConnectTimeout):
        return Refused(f"no answer from {url}: connecting took too long")
    if isinstance(error, httpx.TimeoutException):
        return Refused(f"no answer from {url} in time; it may still be at work, so look before you try again")
    if isinstance(error, httpx.ConnectError):
        reason = re.sub(r"^\[Errno -?\d+\] ", "", str(error))
        advice = f"; {START_THE_SERVER}" if "refused" in reason else ""
        return Refused(f"cannot reach {url}: {reason}{advice}")
    return Refused(f"the connection to {url} broke: {str(error) or type(error).__name__}")


def _place(response: httpx.Response) -> str:
    return str(response.request.url.copy_with(query=None))


def _problem(response: httpx.Response) -> dict[str, Any] | None:
    try:
        problem = json.loads(response.text)
    except ValueError:
        return None
    if not isinstance(problem, dict):
        return None
    detail = problem.get("detail") or problem.get("title")
    return problem | {"detail": detail} if detail else None


def _fields(errors: object) -> list[str]:
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    return [f"  {error.get('field')}: {error.get('message')}" for error in found]


def _hint(response: httpx.Response) -> str | None:
    if response.status_code == 401:
        return None if code_of(response) == "login_failed" else CREDENTIAL_HINT
    waits = (response.headers.get("retry-after"), (_problem(response) or {}).get("retry_after"))
    seconds = next((int(str(wait)) for wait in waits if str(wait).isascii() and str(wait).isdigit()), None)
    return None if seconds is None else f"try again in {_duration(seconds)}"


def _duration(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    moment = datetime.now().astimezone() + timedelta(seconds=min(seconds, 366 * 86400))
    if seconds < 86400:
        return f"{-(-seconds // 60)} min, at {moment:%H:%M}"
    return f"{-(-seconds // 86400)} days, on {moment:%Y-%m-%d}"
