{
  description = "Images from the envlock locks in locks/";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
  inputs.envlock.url = "github:example/envlock"; # where you have it from

  outputs = { self, nixpkgs, envlock }:
    let
      system = "x86_64-linux";
      pkgs = nixpkgs.legacyPackages.${system};
      indexes = import ./indexes.nix;
      locks = envlock.lib.fetchLockDir { dir = ./locks; inherit indexes; };
    in
    {
      legacyPackages.${system}.images = builtins.mapAttrs
        (name: platforms: envlock.lib.buildImage {
          inherit system;
          inherit (envlock.lib) builder;
          lock = platforms.${envlock.lib.platforms.${system}};
          python = "${pkgs.python3}/bin/python3";
          shell = "${pkgs.bash}/bin/bash";
          zstd = pkgs.zstd;
        })
        locks;
    };
}
