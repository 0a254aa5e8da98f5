"""The health check of a request's body, which several operations take."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from example.environments import health
from example.environments.health import HealthCheck

PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
LOOPBACK_URL = rf"^http://(localhost|127\.0\.0\.1|\[::1\])(:{PORT})?(/[!-~]*)?$"
EITHER: dict[str, Any] = {
    "oneOf": [
        {
            "required": ["command"],
            "properties": {"command": {"type": "array", "prefixItems": [{"pattern": health.PROGRAM_PATTERN}]}, "url": {"type": "null"}},
        },
        {"required": ["url"], "properties": {"url": {"type": "string"}, "command": {"type": "null"}}},
    ],
    "examples": [{"command": ["hello", "--version"]}, {"url": "http://127.0.0.1:8080/health", "timeout_seconds": 30}],
}
"""What JSON Schema says of a health check beside its fields; ``health.validate`` has the last word."""


class HealthCheckBody(BaseModel):
    """How to find out that what goes live works: a program of the environment, or an address on the server's machine; one of the two."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=EITHER)

    command: list[Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]] | None = Field(None, min_length=1, max_length=50)
    url: str | None = Field(None, max_length=500, pattern=LOOPBACK_URL)
    timeout_seconds: float = Field(10.0, gt=0, le=health.LONGEST_SECONDS)

    def parse(self) -> HealthCheck:
        """The check as the domain takes it; refuses one that could reach more than it should."""
        check = HealthCheck(tuple(self.command) if self.command is not None else None, self.url, self.timeout_seconds)
        health.validate(check)
        return check
