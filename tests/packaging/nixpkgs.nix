# Just enough of nixpkgs to evaluate default.nix and shell.nix: functions hand back what they are called with, packages are records.
# `version` is that of every package.
{
  version ? "9999",
}:
let
  inherit (builtins) compareVersions concatStringsSep filter head listToAttrs map replaceStrings;
  package = name: { inherit name version; optional-dependencies.standard = [ ]; outPath = "/mock/${name}"; };
  packages = names: listToAttrs (map (name: { inherit name; value = package name; }) names);
  lib = {
    inherit concatStringsSep head replaceStrings;
    attrNames = builtins.attrNames;
    filterAttrs = keep: set: removeAttrs set (filter (name: !keep name set.${name}) (builtins.attrNames set));
    mapAttrsToList = f: set: map (name: f name set.${name}) (builtins.attrNames set);
    versionAtLeast = version: floor: compareVersions version floor >= 0;
    assertMsg = holds: message: if holds then true else throw message;
    makeBinPath = parts: concatStringsSep ":" (map (part: "${part.outPath}/bin") parts);
    makeLibraryPath = parts: concatStringsSep ":" (map (part: "${part.outPath}/lib") parts);
    licenses.mit = "MIT";
    platforms.linux = [ "x86_64-linux" ];
    fileset = {
      unions = map (path: if builtins.pathExists path then baseNameOf path else throw "${toString path} is missing");
      toSource = { root, fileset }: fileset;
    };
  };
  python = package "python3" // {
    sitePackages = "lib/python3/site-packages";
    pkgs =
      packages [
        "alembic" "argon2-cffi" "click" "croniter" "fastapi" "greenlet" "httpx" "limits" "orjson" "packaging" "psycopg" "pydantic" "pydantic-settings"
        "pyjwt" "python-dateutil" "pyyaml" "redis" "rich" "semver" "setuptools" "sqlalchemy" "structlog" "typer" "uvicorn" "zxcvbn"
      ]
      // {
        # Names instead of the records, which hold functions; and where those that were built here came from.
        buildPythonApplication = arguments: arguments // {
          dependencies = map (one: one.pname or one.name) arguments.dependencies;
          wheels = map (one: one.src) (filter (one: one ? src) arguments.dependencies);
        };
        buildPythonPackage = arguments: arguments // { outPath = "/mock/${arguments.pname}"; };
        fetchPypi = { pname, version, hash, format, python, dist }: "${pname}-${version}-${python}-none-any.whl ${hash}";
        makePythonPath = parts: concatStringsSep ":" (map (part: "${part}") parts);
      };
  };
in
{
  inherit lib;
  python3 = python;
  mkShell = arguments: arguments // { packages = map (one: one.name) arguments.packages; };
  stdenv.cc.cc.lib = package "gcc-lib";
}
// packages [ "nix" "util-linux" "makeWrapper" "postgresql" "redis" "git" "gnumake" "zlib" ]
