# What `nix flake check` looks at; offline, but for nixpkgs itself.
{ lib, system, locks, tools }:
let
  fixture = (lib.fetchLockDir {
    dir = ./fixture/locks;
    indexes.pypi = "file://${./fixture}";
  }).fixture.linux-64;

  image = lib.buildImage ({ lock = fixture; expect = true; } // tools);

  # A text is written down only if what was asked before it holds.
  holds = name: facts:
    derivation {
      inherit name system facts;
      builder = tools.shell;
      args = [ "-c" "echo \"$facts\" > $out" ];
    };

  outputs = builtins.concatLists (builtins.concatMap
    (platforms: map
      (lock: map (artifact: builtins.unsafeDiscardStringContext artifact.outPath)
        (builtins.attrValues lock.artifacts))
      (builtins.attrValues platforms))
    (builtins.attrValues locks));
in
{
  # Every artifact of every lock can be a store path.
  locks = holds "envlock-locks" (toString (builtins.length outputs));

  # The builder makes of the fixture what the plain command made.
  inherit image;
  digest = lib.assertDigest { inherit image; digest = fixture.digest; inherit (tools) shell; };

  names =
    assert lib.storeName "a_1%3a2.0~b!c.deb" == "a_1_3a2.0_b_c.deb";
    assert lib.storeName ".hidden" == "_.hidden";
    assert builtins.stringLength (lib.storeName (builtins.concatStringsSep "" (builtins.genList (_: "x") 300))) == 180;
    holds "envlock-store-names" "three";
}
