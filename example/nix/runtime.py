"""How a Nix process is run here: its configuration, environment, folders and the wrapper that keeps kills clean.

Owns everything that every Nix call shares. Builds never see the service's own environment, never run without the sandbox, and die with
the process that asked for them. What is called, and what its output means, is others' business.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from example.config import Settings
from example.nix.configuration import configuration_of
from example.nix.lock import store_lock
from example.nix.pins import pins_of

ALLOWED_VARIABLES = (
    "PATH", "LANG", "NIX_SSL_CERT_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
)  # fmt: skip
REMEDIES = {
    "nix-build": "install Nix: apt-get install nix-bin, or https://nixos.org/download",
    "setpriv": "install util-linux: apt-get install util-linux",
    "unshare": "install util-linux: apt-get install util-linux",
}


class NixMissing(Exception):
    """A program that every Nix call needs is not on PATH; the text says which and how to get it."""


@dataclass(frozen=True)
class NixRuntime:
    """One configured Nix. ``folder`` holds what belongs to running it, ``configuration`` is the text of its nix.conf."""

    data_dir: Path
    folder: Path
    store_dir: Path
    state_dir: Path
    configuration: str = field(repr=False)
    env: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> NixRuntime:
        """The runtime that ``settings`` ask for; touches nothing.

        Raises:
            ValueError: ``NIX_PINS`` can't be read.
        """
        folder = settings.data_dir / "nix"
        root = settings.nix_root.resolve() if settings.nix_root else None  # Nix refuses a store behind a symbolic link
        env = {name: os.environ[name] for name in ALLOWED_VARIABLES if name in os.environ}
        env.setdefault("PATH", os.defpath)
        env |= {
            "NIX_CONF_DIR": str(folder / "etc"),
            "NIX_USER_CONF_FILES": "/dev/null",
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
        }
        if root:
            env |= {"NIX_STORE_DIR": f"{root}/store", "NIX_STATE_DIR": f"{root}/var/nix", "NIX_LOG_DIR": f"{root}/var/log/nix"}
        return cls(
            data_dir=settings.data_dir,
            folder=folder,
            store_dir=root / "store" if root else Path("/nix/store"),
            state_dir=root / "var/nix" if root else Path("/nix/var/nix"),
            configuration=configuration_of(settings, pins_of(settings)),
            env=env,
        )

    @classmethod
    def prepare(cls, settings: Settings) -> NixRuntime:
        """As ``of``, and its folders and configuration are on disk; several processes may do so at once.

        Raises:
            ValueError: ``NIX_PINS`` can't be read.
            OSError: the data directory can't be written.
        """
        runtime = cls.of(settings)
        runtime.write()
        return runtime

    @property
    def roots(self) -> Path:
        """Where the links are that keep what was fetched from the garbage collector: one ``<package_id>`` each, and its outputs'."""
        return self.data_dir / "roots/nix"

    @property
    def environments(self) -> Path:
        """Where profiles live."""
        return self.data_dir / "environments/nix"

    def write(self) -> None:
        """Make the folders, and replace nix.conf in one rename where its text is not ours already.

        Raises:
            OSError: the data directory can't be written.
        """
        etc = self.folder / "etc"
        for folder in (etc, self.folder / "home", self.folder / "tmp", self.roots, self.environments):
            folder.mkdir(parents=True, exist_ok=True)
        target = etc / "nix.conf"
        if target.exists() and target.read_text(encoding="utf-8") == self.configuration:
            return
        with tempfile.NamedTemporaryFile("w", dir=etc, prefix=".nix.conf.", encoding="utf-8", delete=False) as draft:
            try:
                draft.write(self.configuration)
                draft.flush()
                os.replace(draft.name, target)
            except OSError:
                os.unlink(draft.name)
                raise

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """``argv`` so that it and all it starts die with the thread that spawned it, by whatever signal.

        The builder runs in a session of its own, out of reach of a kill of the process group; a PID namespace has no survivors. Without
        root the namespace needs a user namespace too (mapped to root, Nix would try setgroups and be refused). Spawn from a thread that
        outlives the call: PR_SET_PDEATHSIG counts threads.

        Raises:
            NixMissing: ``missing`` says what.
        """
        if problem := self.missing():
            raise NixMissing(problem)
        user = () if os.geteuid() == 0 else ("--user", "--map-current-user")
        namespace = (self.tool("unshare"), *user, "--pid", "--fork", "--kill-child", "--mount-proc")
        return [self.tool("setpriv"), "--pdeathsig", "KILL", *namespace, self.tool(argv[0]), *argv[1:]]

    def tool(self, name: str) -> str:
        """The absolute path of a program.

        Raises:
            NixMissing: it is not on PATH.
        """
        if found := shutil.which(name, path=self.env["PATH"]):
            return found
        raise NixMissing(f"{name} is not on PATH; {REMEDIES.get(name, REMEDIES['nix-build'])}")

    def missing(self) -> str | None:
        """What is missing to run Nix and how to get it, in one line; ``None`` when nothing is."""
        try:
            for name in REMEDIES:
                self.tool(name)
        except NixMissing as problem:
            return str(problem)
        return None

    def sweep(self) -> int:
        """Remove the build folders that killed processes left behind; how many.

        Builds hold the store's lock, so whoever gets it alone at once knows that every build folder is dead. When somebody else is at
        work nothing is removed: the next start will.
        """
        try:
            with store_lock(self.data_dir).exclusive(timeout=0):
                return self.remove_build_folders()
        except TimeoutError:
            return 0

    def remove_build_folders(self) -> int:
        """As ``sweep``, for callers that hold the store's lock alone."""
        dead = list((self.folder / "tmp").glob("nix-*"))
        for folder in dead:
            shutil.rmtree(folder, ignore_errors=True)
        return len(dead)
