"""Writes the next migration, from what the present ones make to what the models say: ``make migration MESSAGE="…"``. Read it before use."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

import example.migrations
from example.config import Settings
from example.db import Database


def main(message: str) -> None:
    """Compare a database that the present migrations have made with the models, and write what is missing."""
    config = Config()
    config.set_main_option("script_location", str(Path(example.migrations.__file__).parent))
    number = len(list(ScriptDirectory.from_config(config).walk_revisions())) + 1
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(_env_file=None, database_url=f"sqlite:///{folder}/now.db")
        database = Database(settings)
        with database.engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")  # not initialize: it also writes rows, as the models are now
            command.revision(config, message=message, autogenerate=True, rev_id=f"{number:04d}")
        database.close()


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1]:
        sys.exit('say what it does: make migration MESSAGE="give packages a colour"')
    main(sys.argv[1])
