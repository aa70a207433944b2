#!/bin/sh
# Makes what the local stack keeps secret, once, in the folder .stack (or the one named):
#   keys.toml         hashes of three API keys; the service reads it
#   traffic-key       scope recommend; the made-up traffic sends it
#   your-key          scopes recommend and review; for you
#   admin-key         scope admin; swaps bundles
#   grafana-password  of the user `admin`
# Nothing that is there is changed. To replace all: remove the folder, run it again, restart; Grafana
# keeps its first password (`grafana cli admin reset-admin-password`).
#
# The folder opens for its owner alone. Inside it what people read has mode 0600; what a container
# mounts has 0444, because there it is read by a user of another number.
set -eu
folder=${1:-$(dirname "$0")/../.stack}

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1
}

secret() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }

entry() { # name, scopes, key
  printf '[[key]]\nname = "%s"\nsha256 = "%s"\nscopes = [%s]\n\n' \
    "$1" "$(printf %s "$3" | sha256)" "$2"
}

umask 077
mkdir -p "$folder"
chmod 700 "$folder"
if [ ! -e "$folder/keys.toml" ]; then
  rm -f "$folder/traffic-key" "$folder/.keys.toml"
  for name in traffic your admin; do printf 'sm_%s\n' "$(secret)" >"$folder/$name-key"; done
  {
    entry traffic '"recommend"' "$(cat "$folder/traffic-key")"
    entry you '"recommend", "review"' "$(cat "$folder/your-key")"
    entry admin '"admin"' "$(cat "$folder/admin-key")"
  } >"$folder/.keys.toml"
  chmod 444 "$folder/traffic-key" "$folder/.keys.toml"
  mv "$folder/.keys.toml" "$folder/keys.toml" # last and whole, so that a cut run is begun again
fi
if [ ! -e "$folder/grafana-password" ]; then
  rm -f "$folder/.grafana-password"
  secret >"$folder/.grafana-password"
  chmod 444 "$folder/.grafana-password"
  mv "$folder/.grafana-password" "$folder/grafana-password"
fi
