# Each target calls cargo or a script in scripts/.

CARGO ?= cargo
# The number in the SONAME.
ABI := $(shell cat packaging/abi-version)
RELEASE = $(or $(CARGO_TARGET_DIR),target)/release
# Only the two crate types that C programs link: if a Rust library is built too, cargo omits link-time optimisation.
LIBRARY = $(CARGO) rustc --release --locked --lib --crate-type cdylib,staticlib --features wipe-on-free
MODULE = $(CARGO) rustc --release --locked -p tckms-pkcs11 --lib --crate-type staticlib --features wipe-on-free
EMULATOR = $(CARGO) build --release --locked -p tckms-emulator
TOOL = $(CARGO) build --release --locked -p tckms-cli --features wipe-on-free

.PHONY: help build demo check test soak lint header bench clean
.PHONY: install uninstall deb symbols abi licences dist-check portability live-test

help:
	@echo "make demo                build everything, start the local KMS, and encrypt a text with it from C"
	@echo "make demo-nginx          run nginx with its TLS key in the local KMS, through the PKCS#11 module"
	@echo "make build               build the libraries, into target/dist, and the programs tckms and tckms-emulator, into target/release"
	@echo "make install             install what make build made; PREFIX=/usr/local, LIBDIR= and DESTDIR= say where"
	@echo "make uninstall           remove it; takes the same variables"
	@echo "make check               run the inner loop: unit tests, and the C API with gcc against the emulator; installs nothing"
	@echo "make test                run all tests"
	@echo "make pkcs11-test         run nginx, OpenSSL, OpenSSH, Java and others with keys in the local KMS, and the module's slow tests"
	@echo "make soak                run the models, Miri, fuzzing, and the tests of faults and threads, for an hour or for SOAK_SECONDS"
	@echo "make live-test           check the documented behaviour of the real service; LIVE_TEST_OPTIONS=--help lists the options"
	@echo "make lint                check formatting, clippy with warnings denied, and the module graph"
	@echo "make spelling            check the spelling of documents and comments"
	@echo "make header              generate include/tckms.h from the source"
	@echo "make man                 make the manual pages of include/tckms.h and reference.html, in target/reference, as make build does"
	@echo "make symbols             add new functions to packaging/tckms.map"
	@echo "make abi                 update the snapshots in tests/abi"
	@echo "make licences            update the lists of third-party components in packaging"
	@echo "make deb                 make Debian packages, in target/deb"
	@echo "make dist                make tarballs, Debian and RPM packages for glibc 2.17 and later, in target/release-artifacts"
	@echo "make dist-check          run the release checks besides the tests: packages, reproducible builds, other systems; takes hours"
	@echo "make portability         run the C tests for ARM64 and musl"
	@echo "make bench               compare with a bare HTTP loop, a bare cipher and OpenSSL, and draw docs/performance"
	@echo "make bench-tools         compare with age, openssl, gpg, cp, curl and SDKs; BENCH_TOOLS_OPTIONS=--help lists the options"
	@echo "make bench-instructions  count instructions under valgrind, and compare them with bench/instructions/baseline.json"
	@echo "make plots               draw docs/performance from the figures of the last make bench"

build:
	scripts/setup.sh --check build
	$(LIBRARY)
	ln -sf libtckms.so $(RELEASE)/libtckms.so.$(ABI)
	$(EMULATOR)
	$(TOOL)
	$(MODULE)
	scripts/dist.sh
	scripts/dist-pkcs11.sh

# These targets compile nothing: they copy or remove the files of `make build`.
install uninstall:
	scripts/install.sh $@

deb:
	scripts/setup.sh deb
	$(MAKE) build
	scripts/deb.sh

symbols:
	scripts/symbols.sh update

abi:
	TCKMS_UPDATE_ABI=1 $(CARGO) test --locked --test project abi::

licences:
	scripts/licences.sh

# All parts, or those that DIST_CHECK names.
dist-check:
	scripts/setup.sh dist-check
	$(MAKE) build
	scripts/dist-check.sh $(DIST_CHECK)

# The release artefacts, linked for glibc 2.17.
.PHONY: dist
dist:
	scripts/setup.sh dist
	scripts/make-dist.sh

portability:
	scripts/setup.sh portability
	$(MAKE) build
	scripts/portability.sh

# Uses the real service, with the TENCENTCLOUD_ variables of the environment.
live-test:
	$(CARGO) run --quiet --locked -p tckms-live-test -- $(LIVE_TEST_OPTIONS)

demo:
	scripts/setup.sh demo
	$(MAKE) build
	scripts/demo.sh

# nginx with its TLS key in the local KMS.
.PHONY: demo-nginx
demo-nginx:
	scripts/setup.sh demo-nginx
	$(MAKE) build
	scripts/demo-nginx.sh

# Unmodified programs with the PKCS#11 module. PKCS11_TEST names a part, as in scripts/pkcs11-test.sh.
.PHONY: pkcs11-test
pkcs11-test:
	scripts/setup.sh pkcs11-test
	$(MAKE) build
	scripts/pkcs11-test.sh $(PKCS11_TEST)

check:
	scripts/setup.sh --check build
	scripts/check.sh

# If a test program fails, the others still run.
test:
	scripts/setup.sh test
	$(MAKE) build
	scripts/test.sh

soak:
	scripts/setup.sh soak
	$(MAKE) build
	scripts/soak.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-targets --features wipe-on-free,test-hooks -- -D warnings
	$(CARGO) test --locked --test project modules::

# codespell comes from PyPI or apt.
.PHONY: spelling
spelling:
	scripts/setup.sh spelling
	git ls-files -z '*.md' '*.rs' '*.c' '*.h' '*.hpp' '*.go' '*.sh' '*.1' | xargs -0 codespell --ignore-words packaging/spelling.txt

header:
	TCKMS_UPDATE_HEADER=1 $(CARGO) test --locked --test project the_committed_header

.PHONY: man
man:
	scripts/reference.py

bench: build
	$(CARGO) run --release --locked -p tckms-bench
	scripts/bench-branches.py

# Compares with age, openssl, gpg, cp, curl and others, if they are installed.
.PHONY: bench-tools
bench-tools: build
	scripts/setup.sh bench
	scripts/bench-tools.py $(BENCH_TOOLS_OPTIONS)

# Other load on the machine does not change the number of instructions.
.PHONY: bench-instructions bench-instructions-update
bench-instructions: build
	scripts/bench-instructions.py

bench-instructions-update: build
	scripts/bench-instructions.py --update

.PHONY: plots
plots:
	$(CARGO) run --release --locked -p tckms-bench -- plot

clean:
	$(CARGO) clean
