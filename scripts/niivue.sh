#!/usr/bin/env bash
# niivue.sh check|fetch: the viewer of scans that report.html carries, NiiVue's bundle as npm has it. "fetch" downloads
# the pinned version and writes internal/report/niivue/niivue.umd.js.gz; "check" compares the bundle in the repository
# with its checksum and with a fresh download. Needs npm; nothing of this runs when uc is built.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.69.0
# As npm view @niivue/niivue@$version dist.integrity says, and the checksum of the file in the package.
integrity=sha512-YMjQvJgD1W2b7DuoxkwlC4VxbrgIePRJ5qyQzXKxi2v2MBVg285P/CIQyg46oDDGDIcaNlbd+MhtO/edMbXJkA==
bundle_sha256=47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af
dir=internal/report/niivue
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sum() { sha256sum | cut -d ' ' -f 1; }

download() {
  npm pack --silent --pack-destination "$work" "@niivue/niivue@$version" >/dev/null
  local got
  got=sha512-$(openssl dgst -sha512 -binary "$work"/*.tgz | base64 -w 0)
  if [ "$got" != "$integrity" ]; then
    echo "the package of NiiVue $version has integrity $got, expected $integrity" >&2
    exit 1
  fi
  tar -xzOf "$work"/*.tgz package/dist/niivue.umd.js >"$work/niivue.umd.js"
  got=$(sum <"$work/niivue.umd.js")
  if [ "$got" != "$bundle_sha256" ]; then
    echo "dist/niivue.umd.js of NiiVue $version has SHA-256 $got, expected $bundle_sha256" >&2
    exit 1
  fi
}

case ${1-} in
fetch)
  download
  gzip -9 -n <"$work/niivue.umd.js" >"$dir/niivue.umd.js.gz"
  echo "$bundle_sha256  niivue.umd.js" >"$dir/SHA256SUMS"
  ;;
check)
  got=$(gzip -dc "$dir/niivue.umd.js.gz" | sum)
  if [ "$got" != "$bundle_sha256" ]; then
    echo "$dir/niivue.umd.js.gz holds SHA-256 $got, expected $bundle_sha256" >&2
    exit 1
  fi
  download
  echo "NiiVue $version is the bundle of npm"
  ;;
*)
  echo "usage: $0 check|fetch" >&2
  exit 2
  ;;
esac
