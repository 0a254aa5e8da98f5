"""The service and its OpenAPI document agree, as schemathesis sees it: over HTTP, every check on.

Valid data is accepted, invalid refused, every status, header and body is as documented, nothing answers 5xx. The token has every scope, and
the jobs end at once.

One check is off for one resource: use_after_free takes a DELETE for an end without a trace, and that of a token is its revocation, which
stays to be seen. And what a good password is no schema can say: valid data may be refused at registration.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from example.db import Database
from example.lifecycle import downloads
from example.sources import Artifact
from tests.service import Service

KEEP_OUR_TOKEN = {
    "sqlite": """
        CREATE TRIGGER keep_our_token AFTER UPDATE OF revoked_at, allowed_ips, expires_at ON tokens WHEN new.id = 1
        BEGIN UPDATE tokens SET revoked_at = NULL, allowed_ips = '[]', expires_at = old.expires_at WHERE id = 1; END
    """,
    "postgresql": """
        CREATE FUNCTION as_it_was() RETURNS trigger AS $$ BEGIN RETURN old; END $$ LANGUAGE plpgsql;
        CREATE TRIGGER keep_our_token BEFORE UPDATE OF revoked_at, allowed_ips, expires_at ON tokens FOR EACH ROW WHEN (new.id = 1)
        EXECUTE FUNCTION as_it_was()
    """,
}
"""What is sent may revoke the token that it is sent with: then everything else would only be a 401."""
CONFIGURATION = """
[checks]
enabled = true

[[operations]]
include-path-regex = "/tokens/"
checks.use_after_free.enabled = false

[[operations]]
include-path = "/api/v1/auth/register"
checks.positive_data_acceptance.enabled = false
"""
EXAMPLES = 25
SECONDS = 30

pytestmark = pytest.mark.slow


def end_every_job(database: Database, done: threading.Event) -> None:
    """A worker that is through with each job at once, well or badly."""
    while not done.wait(0.02):
        with database.read() as session:
            tasks = downloads.open_tasks(session)
        for task in tasks:
            database.transact(partial(end_job, task=task))


def end_job(session: Session, task: str) -> None:
    path = f"/nix/store/{'0' * 32}-hello-1.0"
    if int(task[:1], 16) % 2:
        downloads.succeed(session, task, Artifact(path, (path,)))
    else:
        downloads.fail(session, task, "it did not build")


def test_the_service_does_what_its_openapi_document_says(service: Service, tmp_path: Path) -> None:
    assert service.services is not None
    database = service.services.core.database
    database.transact(lambda session: session.execute(text(KEEP_OUR_TOKEN[database.url.get_backend_name()])))
    worker = threading.Thread(target=end_every_job, args=(database, done := threading.Event()))
    worker.start()
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    argv = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{service.http.base_url}/openapi.json",
        "--max-examples", str(EXAMPLES), "--max-failures", "20", "--seed", "1",
        "--workers", "1", "--max-time", str(SECONDS), "--no-shrink",
        "--generation-database", "none", "--suppress-health-check", "all", "--request-timeout", "20", "--no-color",
        "--header", f"Authorization: Bearer {service.token}",
    ]  # fmt: skip
    try:
        ended = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    finally:
        done.set()
        worker.join()
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-2000:]
