# Where artifacts are fetched from, by the names that the locks use; see envlock's docs/how-to/nix.md.
{
  # pypi = "https://files.example.com/";
  # debian = "https://deb.example.com/debian/";
  # debian-security = "https://deb.example.com/debian-security/";
}
