"""What the service answers about accounts, as scripts use it."""

from .scripted import Service

PASSWORD = "seven lazy otters at dawn"
PAT = "pm_pat_AbCdEfGh" + "k" * 42
ACCESS, REFRESH = "eyJ.access.one", "pm_ref_one" + "r" * 40
ME = {
    "id": 3,
    "username": "ada",
    "email": "ada@example.com",
    "is_admin": False,
    "workspaces": [{"name": "default", "role": "developer"}, {"name": "team", "role": "owner"}],
}
GRANT = {"token": ACCESS, "refresh_token": REFRESH, "expires_at": "2999-01-01T00:00:00Z", "user": ME}
MADE = {"id": 7, "token": PAT, "prefix": PAT[:15], "name": "n", "scopes": ["packages:read"], "expires_at": "2027-02-19T12:00:00Z"}
MASKED = {name: value for name, value in MADE.items() if name != "token"}


def members(*names: str, is_admin: bool = False) -> dict[str, object]:
    """`GET /users/me` of a developer in these workspaces."""
    return ME | {"is_admin": is_admin, "workspaces": [{"name": name, "role": "developer"} for name in names]}


def open_to(service: Service, me: dict[str, object] | None = None) -> None:
    """Let the person log in, make a token and log out."""
    service.on("POST /auth/login", GRANT)
    service.on("GET /users/me", me or ME)
    service.on("POST /tokens", MADE, 201)
    service.on("POST /auth/logout", {})


def asked(service: Service) -> list[tuple[str, str | None]]:
    """Each request with the credential that it showed."""
    return [(f"{one.method} {one.path}", (one.headers.get("authorization") or "").removeprefix("Bearer ") or None) for one in service.asked]
