# The service as a Nix application: `nix-build` gives ./result/bin/{example-init,example-worker,example-admin,pkgctl,example-server}.
#
# nixpkgs has one version of each library; setup.py says which ones the code is written for. Newer than its upper bounds is accepted,
# older than its lower bounds is refused with a list: take a newer nixpkgs, or try your luck with `--arg allowOlder true`.
{
  pkgs ? import <nixpkgs> { },
  allowOlder ? false,
}:
let
  inherit (pkgs) lib;
  python = pkgs.python3;
  ps = python.pkgs;

  # The lower bounds of setup.py (a test compares them). `null`: not in nixpkgs, built below from the pinned wheel.
  floors = {
    alembic = "1.20";
    argon2-cffi = "25.1";
    dbos = null;
    fastapi = "0.165";
    fastapi-offline = null;
    httpx = "0.28";
    limits = "5.8";
    orjson = "3.13";
    packaging = "26.3";
    psycopg = "3.3";
    pydantic = "2.14";
    pydantic-settings = "2.16";
    pyjwt = "2.15";
    redis = "8.1";
    rich = "15";
    semver = "3.0.4";
    sqlalchemy = "2.1";
    structlog = "26.1";
    typer = "0.29";
    uvicorn = "0.54";
    zxcvbn = "4.5";
  };
  inNixpkgs = lib.filterAttrs (_: floor: floor != null) floors;
  older = lib.filterAttrs (name: floor: !lib.versionAtLeast ps.${name}.version floor) inNixpkgs;
  complaint = "package-master: this nixpkgs is older than setup.py asks for: ${
    lib.concatStringsSep ", " (lib.mapAttrsToList (name: floor: "${name} ${ps.${name}.version} (needs ${floor})") older)
  }";

  # Both are pure Python and published as universal wheels; the hashes are those wheels'.
  fromPyPI =
    {
      pname,
      version,
      hash,
      dependencies,
    }:
    ps.buildPythonPackage {
      inherit pname version dependencies;
      format = "wheel";
      src = ps.fetchPypi {
        inherit version hash;
        pname = lib.replaceStrings [ "-" ] [ "_" ] pname;
        format = "wheel";
        python = "py3";
        dist = "py3";
      };
      pythonRelaxDeps = true;
      pythonImportsCheck = [ (lib.replaceStrings [ "-" ] [ "_" ] pname) ];
    };
  dbos = fromPyPI {
    pname = "dbos";
    version = "3.4.0";
    hash = "sha256-ePYBXbz/+xqYGjcaN6RrGZGUmzv5tfA9FYj1NHUIGRI=";
    dependencies = [
      ps.click
      ps.croniter
      ps.greenlet # sqlalchemy[asyncio]
      ps.psycopg
      ps.python-dateutil
      ps.pyyaml
      ps.sqlalchemy
    ];
  };
  fastapi-offline = fromPyPI {
    pname = "fastapi-offline";
    version = "1.7.7";
    hash = "sha256-YMg5n9fT47AVEOFEaHCePeoaDnc++SA3LQVzktc2ofk=";
    dependencies = [ ps.fastapi ];
  };

  # psycopg[binary] is psycopg here: nixpkgs links it to its own libpq.
  dependencies = [
    dbos
    fastapi-offline
  ]
  ++ map (name: ps.${name}) (lib.attrNames inNixpkgs)
  ++ ps.uvicorn.optional-dependencies.standard;

  # What the service starts: nix-build and friends, and util-linux' setpriv and unshare, which make kills clean.
  programs = lib.makeBinPath [
    pkgs.nix
    pkgs.util-linux
  ];

  application = ps.buildPythonApplication {
    pname = "package-master";
    version = lib.head (builtins.match ".*__version__ = \"([^\"]+)\".*" (builtins.readFile ./example/__init__.py));
    pyproject = true;
    src = lib.fileset.toSource {
      root = ./.;
      fileset = lib.fileset.unions [
        ./example
        ./setup.py
        ./pyproject.toml
        ./README.md
      ];
    };
    build-system = [ ps.setuptools ];
    inherit dependencies;
    # `floors` watches the lower bounds.
    pythonRelaxDeps = true;

    makeWrapperArgs = [
      "--prefix"
      "PATH"
      ":"
      programs
    ];
    # uvicorn with the service on its path; takes all of uvicorn's options.
    nativeBuildInputs = [ pkgs.makeWrapper ];
    postFixup = ''
      makeWrapper ${ps.uvicorn}/bin/uvicorn $out/bin/example-server \
        --add-flags "example.server:app --no-access-log" \
        --prefix PYTHONPATH : "$out/${python.sitePackages}:${ps.makePythonPath dependencies}" \
        --prefix PATH : "${programs}"
    '';
    # The tests build with Nix and start PostgreSQL: `make test` runs them, not a build sandbox.
    doCheck = false;
    pythonImportsCheck = [ "example.server" ];

    meta = {
      description = "A self-hosted package service: publish, fetch and build, and activate atomically";
      license = lib.licenses.mit;
      mainProgram = "example-server";
      platforms = lib.platforms.linux;
    };
  };
in
assert lib.assertMsg (allowOlder || older == { }) complaint;
application
