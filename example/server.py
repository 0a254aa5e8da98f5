"""The ASGI app of this machine's settings: ``uvicorn example.server:app``."""

from example.app import create_app
from example.config import Settings

app = create_app(Settings())
