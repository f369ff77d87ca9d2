{
  description = "Declared environments with reviewed overrides, locked without hosts, built into bit-for-bit reproducible OCI images";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      lib = import ./nix/lib.nix;
      linux = builtins.attrNames lib.platforms;
      everywhere = linux ++ [ "x86_64-darwin" "aarch64-darwin" ];
      each = systems: make:
        builtins.listToAttrs (map (system: { name = system; value = make system; }) systems);
      locks = lib.fetchLockDir { dir = ./locks; indexes = import ./nix/indexes.nix; };

      # Only what the builder imports: another file of the project must not make a new image.
      builder = builtins.path {
        name = "envlock-builder";
        path = ./src;
        filter = path: type: type == "directory" || builtins.match ".*\\.py" path != null;
      };
      tools = system:
        let pkgs = nixpkgs.legacyPackages.${system};
        in {
          inherit system builder;
          python = "${pkgs.python3}/bin/python3";
          shell = "${pkgs.bash}/bin/bash";
          zstd = pkgs.zstd;
        };
      imagesOf = system:
        builtins.mapAttrs
          (name: platforms: lib.buildImage ({ lock = platforms.${lib.platforms.${system}}; } // tools system))
          (builtins.listToAttrs (builtins.filter (one: one.value ? ${lib.platforms.${system}})
            (map (name: { inherit name; value = locks.${name}; }) (builtins.attrNames locks))));
    in
    {
      lib = lib // { inherit builder; };

      # nix build .#images.NAME: attribute paths are looked up in legacyPackages, too.
      legacyPackages = each linux (system: { images = imagesOf system; });

      packages = each everywhere (system:
        let envlock = import ./nix/package.nix { pkgs = nixpkgs.legacyPackages.${system}; src = self; };
        in { inherit envlock; default = envlock; });

      apps = each everywhere (system: {
        default = {
          type = "app";
          program = "${self.packages.${system}.envlock}/bin/envlock";
          meta.description = "Declared environments into locks and images";
        };
      });

      devShells = each everywhere (system: {
        default = import ./nix/shell.nix { pkgs = nixpkgs.legacyPackages.${system}; };
      });

      templates.default = {
        path = "${self}/nix/template";
        description = "A flake that builds images from the envlock locks beside it";
      };

      checks = each linux (system: import ./nix/checks.nix { inherit lib system locks; tools = tools system; });
    };
}
