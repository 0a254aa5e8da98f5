# The bundled package set: small real packages that need neither nixpkgs nor a network.
#
# What this file holds: everything that the quick start, the documentation and a first test of a new host install. Builders and programs
# are /bin/sh scripts: the runtime opens the host's shell and core utilities to the sandbox while this set is in use, and only then.
let
  # A package: `script` builds it, with $out (and the other outputs) to fill. Like nixpkgs' mkDerivation, in four lines.
  package = { pname, version, script, outputs ? [ "out" ], ... }@attributes:
    derivation (
      builtins.removeAttrs attributes [ "script" ]
      // {
        inherit outputs;
        name = "${pname}-${version}";
        system = builtins.currentSystem;
        builder = "/bin/sh";
        args = [ "-e" "-c" script ];
        PATH = "/bin:/usr/bin";
      }
    )
    // { inherit pname version; };

  # A package of one program, whose text is `program`.
  programPackage = { pname, version, program, ... }@attributes:
    package (
      attributes
      // {
        script = ''
          mkdir -p "$out/bin"
          printf '%s' "$program" > "$out/bin/${pname}"
          chmod 755 "$out/bin/${pname}"
          echo "installed ${pname} ${version}"
        '';
      }
    );

  helloOf = version: greeting: programPackage {
    pname = "hello";
    inherit version;
    program = ''
      #!/bin/sh
      case "''${1:-}" in
        --version) echo "hello ${version}" ;;
        *) echo "${greeting}" ;;
      esac
    '';
  };
in
rec {
  hello_1_0 = helloOf "1.0.0" "hello, world";
  hello_2_0 = helloOf "2.0.0" "Hello, world!";
  hello = helloOf "2.1.0" "Hello, wonderful world!";

  # Depends on hello when it runs: installing it brings hello along in its closure.
  greeter = programPackage {
    pname = "greeter";
    version = "1.0.0";
    program = ''
      #!/bin/sh
      echo "greeter asks hello:"
      exec ${hello}/bin/hello "$@"
    '';
  };

  cowsay = programPackage {
    pname = "cowsay";
    version = "3.8.4";
    program = ''
      #!/bin/sh
      words="''${*:-moo}"
      line=""
      i=0
      while [ "$i" -lt "''${#words}" ]; do line="$line-"; i=$((i + 1)); done
      cat <<COW
       -$line-
      < $words >
       -$line-
              \\   ^__^
               \\  (oo)\\_______
                  (__)\\       )\\/\\
                      ||----w |
                      ||     ||
      COW
    '';
  };

  # Takes about six seconds to build and says how far it is: something to watch, to follow and to cancel.
  countdown = package {
    pname = "countdown";
    version = "1.0.0";
    script = ''
      for left in 6 5 4 3 2 1; do
        echo "countdown: $left seconds left"
        sleep 1
      done
      mkdir -p "$out/bin"
      printf '#!/bin/sh\nfor left in 3 2 1; do echo "$left"; sleep 1; done\necho "lift-off"\n' > "$out/bin/countdown"
      chmod 755 "$out/bin/countdown"
      echo "countdown: lift-off"
    '';
  };

  # Fails, and says why: something to see a failure with.
  broken = package {
    pname = "broken";
    version = "1.0.0";
    script = ''
      echo "checking for a compiler... yes"
      echo "checking for libfrobnicate... no"
      echo "broken: libfrobnicate 2.0 or newer is needed and was not found" >&2
      exit 1
    '';
  };

  # Two outputs: `out` with the program and `doc` with its manual; both are installed.
  manual = package {
    pname = "manual";
    version = "1.2.0";
    outputs = [ "out" "doc" ];
    script = ''
      mkdir -p "$out/bin" "$doc/share/doc/manual"
      printf '#!/bin/sh\necho "see share/doc/manual/README"\n' > "$out/bin/manual"
      chmod 755 "$out/bin/manual"
      echo "The manual of manual." > "$doc/share/doc/manual/README"
    '';
  } // { meta.outputsToInstall = [ "out" "doc" ]; };

  # Like packages of old sets: its version stands in its name only.
  antique = derivation {
    name = "antique-5.2p26";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    PATH = "/bin:/usr/bin";
    args = [ "-e" "-c" "mkdir -p $out/share; echo 'made before versions were attributes' > $out/share/antique" ];
  };

  # Like an alias whose package was taken out of nixpkgs.
  removed = throw "removed was taken out of the demo set; use hello";

  nested = {
    hello-nested = programPackage {
      pname = "hello-nested";
      version = "1.0.0";
      program = ''
        #!/bin/sh
        echo "hello from a nested set"
      '';
    };
  };
}
