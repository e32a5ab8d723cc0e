#!/bin/sh
# Run in a fresh Debian that has a C compiler and pkg-config, as a user would: installs the packages from /packages,
# compiles the quickstart as the README says, runs it against the emulator, and takes the packages away again.
set -eu

echo "# install"
dpkg --install /packages/*.deb >/dev/null
ldconfig -p | grep -q 'libtckms\.so\.[0-9]* ' || { echo "the loader has not been told"; exit 1; }

echo "# compile"
cd /tmp
for document in README.md docs/README.md docs/errors.md reference.html examples/README.md; do
  [ -s "/usr/share/doc/libtckms-dev/$document" ] || { echo "libtckms-dev has no $document"; exit 1; }
done
cp /usr/share/doc/libtckms-dev/examples/quickstart.c q.c
cc q.c $(pkg-config --cflags --libs tckms) -o quickstart
cc -static q.c $(pkg-config --static --cflags --libs tckms) -o quickstart-static 2>/dev/null

echo "# run"
tckms-emulator --key demo >ready.json &
emulator=$!
trap 'kill $emulator 2>/dev/null || true' EXIT
tries=0
while [ ! -s ready.json ]; do
  tries=$((tries + 1))
  [ $tries -lt 100 ] || { echo "the emulator does not start"; exit 1; }
  sleep 0.1
done
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" ready.json; }
export TCKMS_ENDPOINT="$(field endpoint)" TENCENTCLOUD_REGION=ap-guangzhou
export TENCENTCLOUD_SECRET_ID="$(field secret_id)" TENCENTCLOUD_SECRET_KEY="$(field secret_key)"
./quickstart "$(field demo)" | tail -n 1
./quickstart-static "$(field demo)" | tail -n 1
tckms-seal -k "$(field demo)" -c purpose=test -o sealed q.c
tckms-seal -d -k "$(field demo)" -c purpose=test sealed | cmp - q.c
kill $emulator
wait $emulator 2>/dev/null || true

echo "# remove"
dpkg --purge $(dpkg-query --show --showformat '${Package} ' | tr ' ' '\n' | grep tckms) >/dev/null
./quickstart-static >/dev/null 2>&1 || true
if ./quickstart 2>/dev/null >/dev/null || [ $? -ne 127 ]; then echo "the library is still there"; exit 1; fi
left=$(find / -xdev -name '*tckms*' ! -path '/packages/*' ! -path '/proc/*' ! -path '/var/log/*' ! -name 'in_a_clean_root.sh')
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
echo "# done"
