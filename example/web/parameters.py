"""Parameters that several operations share, and the headers of lists."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import AwareDatetime, BeforeValidator, Field
from pydantic_core import PydanticCustomError
from starlette.convertors import Convertor, register_url_convertor

LARGEST_ID = 2**31 - 1
LARGEST_POSITION = 2**53
_RFC_3339 = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:)([0-9]{2})((?:[.][0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2}))")


def _digits(given: object) -> object:
    """Refuses ``1.0``, ``1_0`` and ``+1``, which pydantic takes for integers: one resource, one address."""
    if isinstance(given, str) and re.fullmatch("-?[0-9]+", given) is None:
        raise PydanticCustomError("int_parsing", "Input should be a valid integer: digits only")
    return given


def _rfc_3339(given: object) -> object:
    """Refuses what pydantic takes for moments beside RFC 3339, seconds since 1970 above all. A leap second is the one before it."""
    parts = _RFC_3339.fullmatch(given) if isinstance(given, str) else None
    if parts is None:
        raise PydanticCustomError("datetime_parsing", "Input should be a moment as in RFC 3339: 2026-11-21T12:00:00Z")
    minute, seconds, rest = parts.groups()
    return f"{minute}{'59' if seconds == '60' else seconds}{rest}"


class OneToken(Convertor[str]):
    """A path segment that isn't ``all``: ``/tokens/all`` is another resource, whose other methods are 405."""

    regex = "(?!all$)[^/]+"

    def convert(self, value: str) -> str:
        """As it is: the operation's own type reads it."""
        return value

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


register_url_convertor("one_token", OneToken())

Id = Annotated[int, Field(ge=1, le=LARGEST_ID), BeforeValidator(_digits)]

PackageId = Annotated[Id, Path(description="The package's id", examples=[1])]
TokenId = Annotated[Id, Path(description="The token's id", examples=[1])]
TaskId = Annotated[
    str,
    Path(
        pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        description="The job's task_id, a UUID",
        examples=["3f1e9a52-6f0e-4f0e-9a52-3f1e9a526f0e"],
    ),
]
Limit = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_digits), Query(description="How many at most")]
After = Annotated[
    int,
    Field(ge=0, le=LARGEST_ID),
    BeforeValidator(_digits),
    Query(description="Only those behind this one: the `Link` header of a page has it"),
]
Before = Annotated[
    int | None,
    Field(ge=1, le=LARGEST_POSITION),
    BeforeValidator(_digits),
    Query(description="Only those older than this one: the `Link` header of a page has it"),
]
Moment = Annotated[AwareDatetime, BeforeValidator(_rfc_3339)]


def page_headers(request: Request, *, limit: int, returned: int, last: int | None, total: int) -> dict[str, str]:
    """``X-Total-Count``, and ``Link: rel="next"`` (RFC 8288) when there may be more."""
    headers = {"X-Total-Count": str(total)}
    if returned == limit and last is not None:
        url = request.url.include_query_params(after=last, limit=limit)
        headers["Link"] = f'<{url}>; rel="next"'
    return headers


LIST_HEADERS = {
    "headers": {
        "X-Total-Count": {"description": "How many there are on all pages", "schema": {"type": "integer"}},
        "Link": {"description": 'The next page, as `<url>; rel="next"`', "schema": {"type": "string"}},
    }
}
"""What OpenAPI says of a list's headers."""
