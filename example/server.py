"""The ASGI app of this machine's settings: ``uvicorn example.server:app``."""

from example.app import create_app
from example.cli.starting import settings_or_exit

app = create_app(settings_or_exit())
