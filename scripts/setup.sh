# Sets up .venv with envlock and what the tests use; read by the other scripts.
# usage: . scripts/setup.sh [Debian packages]

root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

need=""
for package in bubblewrap ca-certificates debian-archive-keyring "$@"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || need="$need $package"
done
python=""
for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || need="$need python3"
"${python:-python3}" -c 'import ensurepip, venv' 2>/dev/null || need="$need python3-venv"
if [ -n "$need" ]; then
  root apt-get update -qq
  # shellcheck disable=SC2086
  root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $need >&2
fi
python=${python:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "envlock needs Python 3.11 or newer; $("$python" --version) is here" >&2
  exit 1
}
[ -x .venv/bin/pip ] || "$python" -m venv .venv
