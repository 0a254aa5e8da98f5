# Resolves (name, version) over the pins and evaluates to what has to be built, in one evaluation.
#
# What this file holds: which attribute of which pin a request means. Every value comes in as a string (--argstr) and stays a string.
# It reports through `trace`, under the caller's random marker, so that nothing in a package set can speak in its name:
#   {opening}                                                   the pin that is being looked into
#   {matched, attribute}                                        first, as soon as a version fits: what fails after it is the package's fault
#   {chosen, attribute, derivation, version, outputs:[{name, path}]}   what is going to be built
#   {available:[{version, pin, attribute}]}                     nothing fits; then it throws
{ pins, name, version, marker }:

let
  inherit (builtins) attrNames concatLists concatMap elem elemAt filter functionArgs genList head intersectAttrs isAttrs isFunction isList isString
    length map match parseDrvName split stringLength substring tail toJSON trace tryEval unsafeDiscardStringContext;

  # `value`, or `fallback` where evaluating it throws.
  attempt = fallback: value: let tried = tryEval value; in if tried.success then tried.value else fallback;

  say = report: trace "${marker} ${toJSON report}";

  segments = filter isString (split "\\." name);
  stem = elemAt segments (length segments - 1);
  parents = map (elemAt segments) (genList (index: index) (length segments - 1));

  # The set of a pin. A function-style set (nixpkgs) gets no configuration and no overlays from this host.
  open = pin:
    let
      source = if pin.path != null then /. + pin.path else fetchTarball { inherit (pin) url sha256; };
      imported = import source;
    in
    say { opening = pin.name; } (
      if isFunction imported then imported (intersectAttrs (functionArgs imported) { config = { }; overlays = [ ]; }) else imported
    );

  # The set that holds the last segment, or null.
  descend = set: path:
    if path == [ ] then set
    else
      let child = attempt null (let found = set.${head path} or null; in if isAttrs found then found else null);
      in if child == null then null else descend child (tail path);

  remainderOf = attribute: substring (stringLength stem) (-1) attribute;
  isVariant = attribute:
    substring 0 (stringLength stem) attribute == stem && match "[_-]?[0-9].*" (remainderOf attribute) != null;
  isVersionLike = remainder: match "[_-]?[0-9][0-9_.-]*" remainder != null;

  # What is known of an attribute without building it, or null when it throws or is no package.
  inspect = set: attribute: attempt null (
    let
      value = set.${attribute};
      parsed = parseDrvName value.name;
      found = {
        version = attempt parsed.version (value.version or parsed.version);
        pname = attempt parsed.name (value.pname or parsed.name);
      };
      fits = attribute == stem || found.pname == stem || isVersionLike (remainderOf attribute);
    in
    if isAttrs value && (value.type or null) == "derivation" && isString found.version && found.version != "" && fits
    then builtins.seq found.pname found else null
  );

  # Where the package may be in one pin; the plain attribute first, so that it is all that gets evaluated when it fits.
  places = pin:
    let
      set = descend (open pin) parents;
      attributes = (if set ? ${stem} then [ stem ] else [ ]) ++ filter isVariant (attrNames set);
    in
    if set == null then [ ] else map (attribute: { inherit pin set attribute; }) attributes;

  # Only as far as the first fitting place is anything evaluated: later pins are not even opened.
  firstFit = places:
    if places == [ ] then null
    else
      let place = head places; found = inspect place.set place.attribute;
      in if found != null && found.version == version then place else firstFit (tail places);
  firstPin = searched:
    if searched == [ ] then null
    else let hit = firstFit (head searched); in if hit != null then hit else firstPin (tail searched);

  searched = map places (builtins.fromJSON pins);
  chosen = firstPin searched;

  pathTo = attribute: builtins.concatStringsSep "." (parents ++ [ attribute ]);

  # The outputs that an environment installs: `meta.outputsToInstall` where it names real ones, else the default output.
  installed = derivation:
    let
      present = derivation.outputs or [ "out" ];
      wished = attempt [ ] (derivation.meta.outputsToInstall or [ ]);
      usable = if isList wished then filter (output: elem output present && derivation ? ${output}) wished else [ ];
    in
    if usable == [ ] then [ derivation ] else map (output: derivation.${output}) usable;

  build = place:
    let
      value = place.set.${place.attribute};
      outputs = installed value;
      attribute = pathTo place.attribute;
      report = {
        chosen = place.pin.name;
        inherit attribute version;
        derivation = unsafeDiscardStringContext value.drvPath;
        outputs = map (output: { name = output.outputName; path = unsafeDiscardStringContext output.outPath; }) outputs;
      };
    in
    say { matched = place.pin.name; inherit attribute; } (say report outputs);

  available = concatMap (
    place:
    let found = inspect place.set place.attribute;
    in if found == null then [ ] else [ { inherit (found) version; pin = place.pin.name; attribute = pathTo place.attribute; } ]
  ) (concatLists searched);
in
if chosen != null then build chosen else say { inherit available; } (throw "not available")
