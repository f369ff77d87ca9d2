# What working on envlock needs beside a virtual environment.
{ pkgs }:
pkgs.mkShell {
  packages = [ pkgs.python3 pkgs.uv pkgs.bubblewrap pkgs.skopeo pkgs.umoci pkgs.podman ];
}
