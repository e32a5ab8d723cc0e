#!/usr/bin/env bash
# Writes the values of packaging/home.toml to all other files that contain them: Cargo.toml, the Debian packages, pkg-config, the
# Go module, the files that import it, and marked text in the Markdown files (<!-- home:NAME -->value<!-- /home -->).
#
#   scripts/set-home.sh            writes them
#   scripts/set-home.sh --check    writes nothing; fails and names the files that differ
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:-write}
case $mode in
  write | --check) ;;
  *)
    echo "usage: scripts/set-home.sh [--check]" >&2
    exit 2
    ;;
esac

# value NAME: prints a value of packaging/home.toml. Accepts only characters that are safe in all of the files.
value() {
  local found
  found=$(sed -n "s/^$1 = \"\(.*\)\"\$/\1/p" packaging/home.toml)
  if ! [[ $found =~ ^[A-Za-z0-9._~:/@+-]+$ ]]; then
    echo "set-home: packaging/home.toml has no usable $1" >&2
    exit 1
  fi
  printf %s "$found"
}

homepage=$(value homepage)
repository=$(value repository)
go_module=$(value go_module)
contact=$(value contact)
# Go reserves import paths whose first element has no dot for its standard library.
if ! [[ ${go_module%%/*} == *.* ]]; then
  echo "set-home: the first element of go_module needs a dot" >&2
  exit 1
fi

different=()

# rewrite FILE SED-ARGUMENT…: replaces a file by the output of sed, if they differ.
rewrite() {
  local file=$1 result
  shift
  result=$(mktemp)
  sed "$@" "$file" >"$result"
  if ! cmp -s "$file" "$result"; then
    different+=("$file")
    # Overwritten, because a new file would lose the mode.
    if [ "$mode" = write ]; then cat "$result" >"$file"; fi
  fi
  rm -f "$result"
}

rewrite Cargo.toml -e "s|^homepage = \".*\"|homepage = \"$homepage\"|" -e "s|^repository = \".*\"|repository = \"$repository\"|"
rewrite packaging/debian/control -e "s|^Homepage: .*|Homepage: $homepage|"
rewrite packaging/debian/copyright -e "s|^Source: .*|Source: $repository|" -e "s|^Upstream-Contact: .*|Upstream-Contact: $contact|"
rewrite packaging/tckms.pc.in -e "s|^URL: .*|URL: $homepage|"

old_module=$(sed -n 's/^module //p' go/go.mod)
pattern=$(printf %s "$old_module" | sed 's/[.]/\\./g')
# Matches the path unless it is a part of a longer name. A mark replaces it first, because the new path may contain the old one.
mark="s#(^|[^A-Za-z0-9./_-])$pattern(\$|[^A-Za-z0-9._-])#\1@GO_MODULE@\2#g"
while IFS= read -r file; do
  rewrite "$file" -E -e "$mark" -e "$mark" -e "s|@GO_MODULE@|$go_module|g"
done < <(find go tests docs README.md examples-c -type f \( -name '*.go' -o -name go.mod -o -name '*.md' -o -name '*.rs' \) \
  -exec grep -lF -- "$old_module" {} + | sort)

for file in *.md docs/*.md; do
  if grep -q '<!-- home:' "$file"; then
    rewrite "$file" \
      -e "s|\(<!-- home:homepage -->\)[^<]*\(<!-- /home -->\)|\1$homepage\2|g" \
      -e "s|\(<!-- home:repository -->\)[^<]*\(<!-- /home -->\)|\1$repository\2|g" \
      -e "s|\(<!-- home:contact -->\)[^<]*\(<!-- /home -->\)|\1$contact\2|g"
  fi
done

if [ "${#different[@]}" -eq 0 ]; then
  exit 0
elif [ "$mode" = --check ]; then
  echo "set-home: these files differ from packaging/home.toml; run scripts/set-home.sh: ${different[*]}" >&2
  exit 1
fi
echo "set-home: wrote ${different[*]}"
