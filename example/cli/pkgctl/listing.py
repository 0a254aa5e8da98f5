"""Lists that come in pages: the options of every such command, and how the pages become one list."""

import json
from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any

import typer

from .server import Answer
from .session import Session

LARGEST_PAGE = 1000

Limit = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=LARGEST_PAGE, help="How many to read at once; the server's default is 100.")
]
All = Annotated[bool, typer.Option("--all", help="Read every page, not only the first.")]


def read_list(session: Session, path: str, query: Mapping[str, str | int | None], *, everything: bool) -> list[dict[str, Any]] | None:
    """The first page or all of them; None when --json has already shown it."""
    if everything and query.get("limit") is None:
        query = {**query, "limit": LARGEST_PAGE}
    with session.screen.waiting("Reading"):
        pages = list(islice(session.server.pages(path, query), None if everything else 1))
    records = [record for page in pages for record in page.records]
    if session.document(pages[0] if len(pages) == 1 else _joined(pages)):
        return None
    total = pages[0].total
    if not everything and pages[0].next_query is not None:
        session.screen.note(f"{len(records)} of {total or 'more'} shown; --all shows every one")
    return records


def _joined(pages: list[Answer]) -> Answer:
    # One document for several pages: the records as they came, in one array.
    data = [record for page in pages for record in page.data]
    return Answer(json.dumps(data, ensure_ascii=False, separators=(",", ":")), data)
