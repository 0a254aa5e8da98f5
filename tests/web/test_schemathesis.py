"""The service and its OpenAPI document agree, as schemathesis sees it: over HTTP, every check on.

Valid data is accepted, invalid refused, every status, header and body is as documented, nothing answers 5xx. The token has every scope, and the
service runs no jobs, so that what it is asked to download stays where it is.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.service import Service

KEEP_OUR_TOKEN = """
CREATE TRIGGER keep_our_token AFTER UPDATE OF revoked_at, allowed_ips, expires_at ON tokens WHEN new.id = 1
BEGIN UPDATE tokens SET revoked_at = NULL, allowed_ips = '[]', expires_at = old.expires_at WHERE id = 1; END
"""
"""What is sent may revoke the token that it is sent with: then everything else would only be a 401."""
EXAMPLES = 40

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


def test_the_service_does_what_its_openapi_document_says(service: Service, tmp_path: Path) -> None:
    assert service.services is not None
    service.services.core.database.transact(lambda session: session.execute(text(KEEP_OUR_TOKEN)))
    argv = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{service.http.base_url}/openapi.json",
        "--checks", "all", "--max-examples", str(EXAMPLES), "--max-failures", "20", "--seed", "1", "--workers", "1",
        "--generation-database", "none", "--suppress-health-check", "all", "--request-timeout", "20", "--no-color",
        "--header", f"Authorization: Bearer {service.token}",
    ]  # fmt: skip
    ended = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-2000:]
