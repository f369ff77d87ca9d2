{
  # Stands in for nixpkgs where it cannot be had: the machine's own Python and shell, which the
  # sandbox must show (sandbox-paths).  For tests only:
  #   --override-input nixpkgs path:./nix/stub-nixpkgs
  description = "A few of nixpkgs' names, from the machine";

  outputs = { self }:
    let
      # Two stores may not share a name for "/usr", so folders are given as plain texts.
      machine = "/usr";
      application = system: arguments: derivation {
        name = "${arguments.pname}-${arguments.version}";
        inherit system;
        builder = "/bin/sh";
        args = [
          "-c"
          ''
            /bin/mkdir -p "$out/bin"
            printf '#!/bin/sh\nPYTHONPATH=%s/src exec /usr/bin/python3 -m envlock "$@"\n' "$src" \
              > "$out/bin/envlock"
            /bin/chmod +x "$out/bin/envlock"
            exit 0
          ''
        ];
        inherit (arguments) src;
      };
      shell = system: arguments: derivation {
        name = "shell";
        inherit system;
        builder = "/bin/sh";
        args = [ "-c" ": > $out" ];
      };
      package = name: { outPath = machine; inherit name; };
      named = [ "uv" "bubblewrap" "skopeo" "umoci" "podman" "bash" "zstd" ];
      packages = system: builtins.listToAttrs (map (name: { inherit name; value = package name; }) named) // {
        python3 = package "python3" // {
          pkgs = { hatchling = package "hatchling"; buildPythonApplication = application system; };
        };
        mkShell = shell system;
        lib.makeBinPath = folders: "/usr/bin";
      };
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
    in
    {
      legacyPackages = builtins.listToAttrs (map (system: { name = system; value = packages system; }) systems);
    };
}
