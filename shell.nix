# The development shell: `nix-shell`, then `make test`. Python's packages come from requirements-dev.txt, as everywhere else: the pins
# that the tests ran with, not nixpkgs' versions.
{
  pkgs ? import <nixpkgs> { },
}:
pkgs.mkShell {
  packages = [
    pkgs.python3
    pkgs.nix
    pkgs.util-linux # setpriv, unshare
    pkgs.postgresql
    pkgs.redis
    pkgs.git
    pkgs.gnumake
  ];

  # Wheels with compiled code look for these; NixOS has them nowhere by default.
  LD_LIBRARY_PATH = pkgs.lib.makeLibraryPath [
    pkgs.stdenv.cc.cc.lib
    pkgs.zlib
  ];
  # mkShell's 1980 would break the making of wheels.
  shellHook = ''
    unset SOURCE_DATE_EPOCH
  '';
}
