"""`pkgctl logout`: what is kept for a server goes from this machine always, and ends at the server when that answers."""

from typing import Annotated

import typer

from . import credentials
from .account import prefix_of, read_token
from .bearer import Bearer
from .credentials import Saved
from .errors import Refused
from .renewal import Renewing
from .server import Server
from .session import Session


def logout(
    session: Session,
    keep_valid: Annotated[bool, typer.Option("--keep", help="Only remove it here; it stays valid at the server.")] = False,
) -> None:
    """Remove what is saved for this server, and make it void there."""
    url = session.server.url
    try:
        saved = credentials.load(url)
        done = "nothing was saved" if saved is None else "it stays valid at the server" if keep_valid else end(url, saved)
    except Refused as refused:
        credentials.forget(url)
        raise Refused(f"removed from this machine, but not ended at the server: {refused.message}", hint=_remains(refused)) from None
    credentials.forget(url)
    if not session.summary({"url": url, "done": done}):
        session.screen.success(f"Logged out of {url}: {done}")


def end(url: str, saved: Saved) -> str:
    """Make a credential void at its server; returns what happened, in words. Raises Refused when it may still be valid."""
    server = Server(url, Renewing(url, saved) if saved.refresh_token else Bearer(saved.token))
    try:
        if saved.refresh_token:
            server.post("/auth/logout")
            return "the session was ended"
        token_id = saved.token_id or read_token(server, saved.token, None).get("id")
        if token_id is None:
            raise Refused(f"the token {prefix_of(saved.token) or ''}… was not found among yours")
        server.delete(f"/tokens/{token_id}")
        return f"token {token_id} was revoked"
    except Refused as refused:
        if refused.status != 401:
            raise
        return f"the {'session' if saved.refresh_token else 'token'} was no longer valid"
    finally:
        server.close()


def _remains(refused: Refused) -> str:
    advice = f"{refused.hint}; " if refused.hint else ""
    return f"{advice}a token stays valid until it expires or is revoked with another log-in: pkgctl token list, pkgctl token revoke ID"
