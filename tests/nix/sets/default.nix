# A package set in nixpkgs' manner, for tests: function-style, variants of one package, a throwing alias, packages that misbehave.
{ config ? throw "config was not passed", overlays ? throw "overlays were not passed", unrelated ? true }:
let
  build = attributes: script: derivation ({
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
    PATH = "/bin:/usr/bin";
  } // attributes);
  plain = pname: version: build { inherit pname version; name = "${pname}-${version}"; } "mkdir -p $out/bin; echo ${version} > $out/bin/${pname}" // { inherit pname version; };
  misbehaving = pname: script: build { name = "${pname}-1.0"; } script // { inherit pname; version = "1.0"; };
in
assert config == { } && overlays == [ ];
rec {
  tool = plain "tool" "3.0";
  tool_1_2 = plain "tool" "1.2";
  tool1 = plain "tool" "1.0";
  tool-2 = plain "tool" "2.0";
  tool_1_2-doc = plain "tool-documentation" "0.1";
  tool1extra = plain "something-else" "7.0";
  toolbox = plain "toolbox" "3.0";
  tool_9 = throw "tool_9 was removed";
  tool_8 = abortive;
  abortive = { type = "package"; version = "8.0"; };
  oddly-versioned = { type = "derivation"; name = "oddly-versioned-1"; version = 1; };

  old-style = build { name = "old-style-5.2p26"; } "mkdir $out";
  user = build { name = "user-1.0"; inherit tool; } "mkdir $out; echo $tool > $out/dependency" // { version = "1.0"; };
  "with+plus" = plain "with+plus" "1.0";
  clash = build { name = "clash-1.0"; } "mkdir -p $out/bin; echo clash > $out/bin/tool" // { version = "1.0"; };

  several = build { name = "several-1.0"; outputs = [ "bin" "dev" "doc" ]; } "mkdir $bin $dev; mkdir -p $doc/share; touch $bin/b $dev/d $doc/share/x"
    // { version = "1.0"; meta.outputsToInstall = [ "bin" "doc" "not-there" ]; };
  several-default = build { name = "several-default-1.0"; outputs = [ "lib" "out" ]; } "mkdir $lib $out" // { version = "1.0"; };
  several-throwing = build { name = "several-throwing-1.0"; outputs = [ "out" "dev" ]; } "mkdir $dev $out" // { version = "1.0"; meta = throw "no meta"; };

  python3Packages = { requests = plain "requests" "2.31.0"; recurseForDerivations = true; };
  unfree = { type = "derivation"; name = "unfree-1.0"; pname = "unfree"; version = "1.0"; outputName = "out"; drvPath = throw "unfree has an unfree licence"; outPath = throw "unfree"; };
  cyclic = let self = { type = "derivation"; name = "cyclic-1.0"; version = "1.0"; outputName = "out"; outPath = drvPath; inherit drvPath; }; drvPath = drvPath2 + ""; drvPath2 = drvPath + ""; in self;
  endless = { type = "derivation"; name = "endless-1.0"; version = "1.0"; outputName = "out"; outPath = ""; drvPath = let fibonacci = n: if n < 2 then n else fibonacci (n - 1) + fibonacci (n - 2); in fibonacci 60; };
  nothing = { type = "derivation"; name = "nothing-1.0"; version = "1.0"; outputName = "out"; outPath = "x"; drvPath = 7; };
  stealing = { type = "derivation"; name = "stealing-1.0"; version = "1.0"; outputName = "out"; outPath = "x"; drvPath = builtins.readFile /etc/shadow; };

  failing = misbehaving "failing" "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22; do echo line $i; done; echo the reason >&2; exit 3";
  needs-failing = build { name = "needs-failing-1.0"; inherit failing; } "mkdir $out" // { version = "1.0"; };
  no-output = misbehaving "no-output" "true";
  sleeping = misbehaving "sleeping" "echo asleep; sleep 987";
  talking = misbehaving "talking" "while sleep 0.1; do echo still here; done";
  flooding = misbehaving "flooding" "x=flood; for i in 1 2 3 4 5 6 7 8 9 10 11; do x=$x$x; done; while :; do echo $x; done";
  chatty = misbehaving "chatty" "i=0; while [ $i -lt 3000 ]; do echo chatter $i and more and more and more; i=$((i+1)); done; mkdir $out";
  stubborn = misbehaving "stubborn" "trap '' TERM INT HUP; while :; do sleep 0.2; echo never; done";
  filling = misbehaving "filling" "mkdir $out; head -c 60000000 /dev/zero > $out/big";
  long-line = misbehaving "long-line" "head -c 1500000 /dev/zero; echo; echo after; mkdir $out";
  curious = misbehaving "curious" "set > $out";
  coloured = misbehaving "coloured" "printf '\\033[31mred\\033[0m\\n10%%\\r100%%\\n'; mkdir $out";
}
