# Where artifacts are fetched from, by the names that the locks use.  A base URL is what an
# artifact's `path` is relative to: the file host of a package index, the root of a Debian
# archive, a channel.  The images do not depend on them: artifacts are known by their sha256.
#
# Nothing is named here: fill it in (in your own flake: buildImage's `indexes`), or bring the
# artifacts with `envlock nix-seed`, and no URL is ever asked.
#
#   {
#     pypi = "https://files.example.com/";
#     debian = "https://deb.example.com/debian/";
#     debian-security = "https://deb.example.com/debian-security/";
#     conda-forge = "https://conda.example.com/conda-forge/";
#   }
{ }
