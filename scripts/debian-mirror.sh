#!/usr/bin/env bash
# Prints the address of the Debian archive that this machine's apt uses, for debootstrap.
set -euo pipefail

# shellcheck disable=SC2016 # apt-get expands it.
apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v -e security -e nodesource | grep /debian/ | head -n 1
