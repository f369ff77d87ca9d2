# envlock itself, from nixpkgs' Python packages.
{ pkgs, src }:
let
  python = pkgs.python3.pkgs;
  wanted = [
    "jsonschema" "packaging" "platformdirs" "pypi-simple" "pysequoia" "pyyaml" "remotezip"
    "requests" "rich" "solv" "tomli-w" "truststore" "typer" "typeshed-client"
  ];
  # What nixpkgs does not package (libsolv's Python binding from PyPI, "solv") is missing at run
  # time: solving an OS layer then says so, and everything else works.
  present = builtins.filter (name: python ? ${name}) wanted;
in
python.buildPythonApplication {
  pname = "envlock";
  version = builtins.head (builtins.match ".*__version__ = \"([^\"]+)\".*"
    (builtins.readFile (src + "/src/envlock/__init__.py")));
  pyproject = true;
  inherit src;
  build-system = [ python.hatchling ];
  dependencies = map (name: python.${name}) present;
  dontCheckRuntimeDeps = true;
  makeWrapperArgs = [ "--prefix" "PATH" ":" (pkgs.lib.makeBinPath [ pkgs.uv pkgs.bubblewrap ]) ];
  meta.mainProgram = "envlock";
}
