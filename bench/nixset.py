"""A package set of many trivial packages, all built already, and the bare ``nix-build`` that downloads of it are compared with."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from example.config import Settings
from example.nix.configuration import host_shell_paths
from example.nix.runtime import NixRuntime

VERSION = "1.0"
_SET = """\
# {count} trivial packages: sample000, sample001, …
let
  digits = number: builtins.substring 1 3 (toString (1000 + number));
  package = number: let pname = "sample${{digits number}}"; in {{
    name = pname;
    value = derivation {{
      name = "${{pname}}-{version}";
      system = builtins.currentSystem;
      builder = "/bin/sh";
      args = [ "-c" "mkdir -p $out/bin; echo ${{pname}} > $out/bin/${{pname}}" ];
      PATH = "/bin:/usr/bin";
    }} // {{ inherit pname; version = "{version}"; }};
  }};
in
builtins.listToAttrs (builtins.genList package {count})
"""


@dataclass(frozen=True)
class NixSet:
    """``count`` packages in ``folder``; ``settings`` are the environment of a service that has them, ``runtime`` its Nix."""

    folder: Path
    count: int
    settings: dict[str, str]
    runtime: NixRuntime

    @property
    def names(self) -> list[str]:
        """The attributes, which are the packages' names too."""
        return [f"sample{number:03d}" for number in range(self.count)]

    def build(self, name: str) -> None:
        """A bare ``nix-build`` of one attribute with the service's own store, nix.conf and environment, that registers a root as it does.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        out_link = self.folder / "roots" / name
        argv = ["nix-build", str(self.folder), "-A", name, "--out-link", str(out_link), "-I", f"set={self.folder}"]
        subprocess.run(argv, env=dict(self.runtime.env), stdin=subprocess.DEVNULL, capture_output=True, check=True)

    def build_all(self, names: list[str], concurrency: int) -> None:
        """As ``build``, for all of them, so many at a time."""
        with ThreadPoolExecutor(concurrency) as pool:
            list(pool.map(self.build, names))


def make_set(folder: Path, data_dir: Path, count: int) -> NixSet:
    """Write the set, and prepare the Nix of a service whose data directory is ``data_dir``, with a store of its own beside it."""
    place = folder / "set"
    (place / "roots").mkdir(parents=True)
    (place / "default.nix").write_text(_SET.format(count=count, version=VERSION), encoding="utf-8")
    environment = {
        "DATA_DIR": str(data_dir),
        "NIX_ROOT": str(folder / "nix"),
        "NIX_PINS": f"bench={place}",
        "NIX_SANDBOX_PATHS": " ".join(host_shell_paths()),
    }
    settings = Settings(_env_file=None, **{name.lower(): value for name, value in environment.items()})  # type: ignore[arg-type]
    runtime = NixRuntime.prepare(settings)
    os.makedirs(folder / "nix", exist_ok=True)
    return NixSet(place, count, environment, runtime)
