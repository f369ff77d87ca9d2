# envlock's locks in Nix, from builtins only: no nixpkgs, no import from derivation.
#
#   fetchLock     a lock file -> the lock with one fixed-output derivation for each artifact, and
#                 for each blob of its base image
#   fetchLockDir  a folder of locks -> { <environment>.<platform> = fetchLock ...; }
#   buildImage    a lock -> a derivation whose output is the OCI image layout
#   assertDigest  an image and a digest -> a derivation that exists if they belong together
let
  inherit (builtins)
    attrNames concatStringsSep elemAt filter fromJSON head isAttrs isString listToAttrs map match
    readDir readFile split stringLength substring toJSON;

  format = 1;

  platforms = {
    x86_64-linux = "linux-64";
    aarch64-linux = "linux-aarch64";
  };

  # Store names: 211 characters at most, of a limited set, and no leading dot.  A character
  # outside of it becomes "_"; the hash, not the name, says which file it is.
  storeName = file:
    let
      clean = concatStringsSep "_" (filter isString (split "[^A-Za-z0-9+._?=-]" file));
      named = if substring 0 1 clean == "." then "_${clean}" else clean;
      size = stringLength named;
    in
    if size <= 180 then named else substring (size - 180) 180 named;

  # Where an artifact lies below the file base of its index, archive or channel.
  # Names are those of the lock; `indexes` gives a base URL, or a list of which the first counts.
  baseOf = indexes: source: folderOf (indexes.${source} or "https://${source}.invalid/");

  folderOf = given:
    let url = if isString given then given else head given;
        last = substring (stringLength url - 1) 1 url;
    in if last == "/" then url else "${url}/";

  # In a URL's path; "%" first would be wrong the other way round.
  quote = builtins.replaceStrings [ "%" "+" " " "#" "?" "~" ] [ "%25" "%2B" "%20" "%23" "%3F" "%7E" ];

  sourceOf = artifact: artifact.index or artifact.archive or artifact.channel;

  fetchArtifact = indexes: artifact:
    import <nix/fetchurl.nix> {
      name = storeName artifact.file;
      url = baseOf indexes (sourceOf artifact) + quote artifact.path;
      inherit (artifact) sha256;
    };

  # The configuration and the layers of a lock's base image, each once.  A registry serves them below
  # https://<registry>/v2/<repository>/blobs/, which `indexes."<registry>/<repository>"` names where
  # it asks for no token; else `envlock nix-seed` brings them.
  fetchBase = indexes: base:
    let
      repository = head (match "([^/@]+/[^:@]+)(:[^@]+)?(@.*)?" base.reference);
      fetchBlob = blob:
        let sha256 = head (match "sha256:([0-9a-f]+)" blob.digest);
        in {
          name = "sha256-${sha256}";
          value = import <nix/fetchurl.nix> {
            name = storeName "${blob.digest} of the base image";
            url = folderOf (indexes.${repository} or "https://base-image.invalid/") + blob.digest;
            inherit sha256;
          };
        };
    in
    map fetchBlob ([ base.config ] ++ base.layers);

  readLock = file:
    let lock = fromJSON (readFile file);
    in
    if !(isAttrs lock && lock ? format && lock ? artifacts) then
      throw "${toString file} is no lock of envlock"
    else if lock.format != format then
      throw "${toString file} has the lock format ${toString lock.format}; this envlock reads format ${toString format}"
    else lock;

  fetchLock = { lock, indexes ? { } }:
    let data = readLock lock;
    in {
      file = lock;
      inherit (data) name platform;
      digest = if data ? built && data.built != null then data.built.manifest else null;
      packer = data.packer;
      # Attribute names may not start with a digit everywhere, hence the prefix.
      artifacts = listToAttrs (
        map
          (artifact: { name = "sha256-${artifact.sha256}"; value = fetchArtifact indexes artifact; })
          data.artifacts
        ++ (if data ? base then fetchBase indexes data.base else [ ]));
    };

  lockName = file: match "(.+)\\.(linux-[a-z0-9_]+)\\.lock\\.json" file;

  fetchLockDir = { dir, indexes ? { } }:
    let
      files = filter (file: lockName file != null) (attrNames (readDir dir));
      entry = file: {
        environment = elemAt (lockName file) 0;
        platform = elemAt (lockName file) 1;
        value = fetchLock { lock = dir + "/${file}"; inherit indexes; };
      };
      entries = map entry files;
    in
    listToAttrs (map
      (one: {
        name = one.environment;
        value = listToAttrs (map (other: { name = other.platform; inherit (other) value; })
          (filter (other: other.environment == one.environment) entries));
      })
      entries);

  # builder: a folder that has the Python package `envlock`; python: an interpreter, 3.11 or
  # newer; shell: a POSIX shell; zstd: the program, for .conda packages where that Python has no
  # zstd.  None of them is part of the image.  expect: the manifest digest that must come out;
  # true stands for the one that the lock records.
  buildImage =
    { lock, indexes ? { }, system, builder, python, shell ? "/bin/sh", zstd ? null, expect ? null }:
    let
      locked = if isAttrs lock && lock ? artifacts then lock else fetchLock { inherit lock indexes; };
      wanted =
        if expect != true then expect
        else if locked.digest != null then locked.digest
        else throw "the lock of ${locked.name} records no digest: envlock build ${locked.name} --record";
      prefix = stringLength "sha256-";
      artifactMap = listToAttrs (map
        (name: {
          name = substring prefix 64 name;
          value = "${locked.artifacts.${name}}";
        })
        (attrNames locked.artifacts));
    in
    derivation {
      name = storeName "${locked.name}-${locked.platform}-image";
      inherit system;
      builder = shell;
      args = [ "-c" script ];
      # A file, not a variable: a map of a thousand artifacts is longer than Linux lets one be.
      passAsFile = [ "artifactMap" ];
      artifactMap = toJSON artifactMap;
      lockFile = locked.file;
      interpreter = python;
      PYTHONPATH = builder;
      PYTHONDONTWRITEBYTECODE = "1";
      PATH = if zstd == null then "" else "${zstd}/bin";
      expected = if wanted == null then "" else wanted;
    };

  # The shell does not end in the program itself: Nix 2.8 sees some builders that do as killed.
  script = ''
    "$interpreter" -m envlock.image "$lockFile" --artifact-map "$artifactMapPath" \
      -o "$out" ''${expected:+--expect "$expected"}
    code=$?
    exit $code
  '';

  assertDigest = { image, digest, shell ? "/bin/sh" }:
    let system = image.system;
    in
    derivation {
      name = "${image.name}-has-its-digest";
      inherit system image digest;
      builder = shell;
      args = [
        "-c"
        ''
          read -r index < "$image/index.json" || [ -n "$index" ]
          case $index in
            *"\"digest\":\"$digest\""*) echo "$digest" > "$out" ;;
            *) echo "$image is not $digest but $index" >&2; exit 1 ;;
          esac
        ''
      ];
    };
in
{
  inherit fetchLock fetchLockDir buildImage assertDigest platforms storeName;
}
