# SPDX-License-Identifier: Apache-2.0
# The front door. Meson builds (meson.build); this page only names what there is to do.
BUILD ?= build
DESTDIR ?=
PREFIX ?= /usr/local
ARCH ?= x86_64
PROGRAM ?= $(BUILD)/src/app/payhook

all: $(BUILD)/payhook ## build build/payhook

help: ## list these targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## install the Debian packages that are missing (root or sudo)
	@tools/setup

$(BUILD)/build.ninja:
	@command -v meson >/dev/null || { echo "meson is missing: run make setup once, as root or with sudo" >&2; exit 1; }
	meson setup $(BUILD) --prefix $(PREFIX)

$(BUILD)/payhook: $(BUILD)/build.ninja FORCE
	@ninja -C $(BUILD) $(NINJAFLAGS) src/app/payhook
	@ln -sf src/app/payhook $@

run: setup ## install what is missing, build, and serve on 127.0.0.1:8080
	@$(MAKE) --no-print-directory all
	@exec $(BUILD)/payhook serve --data ./run-data --listen 127.0.0.1:8080 --admin 127.0.0.1:8081

check: ## every test, with all its own set-up
	@tools/setup check
	@tools/check

asan: setup ## unit and contract tests under the address and undefined behaviour sanitizers
	@tools/check asan

tsan: setup ## integration tests over a thread-sanitized server
	@tools/check tsan

faults: setup ## the fault harnesses at their large counts: an hour or two
	@tools/setup faults
	@tools/faults

lint: ## formatting, arrows between rooms, clang-tidy, cppcheck, gcc's analyzer
	@tools/setup lint
	@tools/lint

fuzz: setup ## each fuzz target for T seconds (default 60)
	@tools/fuzz $(T)

cover: setup ## line and branch coverage of codec, provider and store
	@tools/cover

timing: setup ## do comparisons of secrets take the same time? a million samples each
	@tools/timing

bench: setup ## acks a second beside a null server, SQLite and Python; the function beside a Python handler
	@tools/setup bench
	@tools/setup lambda
	@bench/run

bench-grow: setup ## acks a second with 10 million events stored beside none (30 GB of disk; EVENTS=1000000 for fewer)
	@bench/grow

lambda: ## build/payhook-lambda-x86_64.zip, the AWS Lambda function (ARCH=arm64: by cross packages)
	@tools/setup $(if $(filter arm64,$(ARCH)),arm64,lambda)
	@tools/lambda $(ARCH)

install: all ## install program, manual and systemd unit under PREFIX (default /usr/local), and the function where make lambda was
	@$(MAKE) --no-print-directory install-files
	@for zip in build/payhook-lambda-*.zip; do \
	    [ ! -e "$$zip" ] || install -D -m 0644 "$$zip" $(DESTDIR)$(PREFIX)/share/payhook/"$${zip##*/}" || exit 1; done

install-files:
	install -D -m 0755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/payhook
	install -D -m 0644 man/payhook.1 $(DESTDIR)$(PREFIX)/share/man/man1/payhook.1
	install -D -m 0644 man/payhook.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/payhook.conf.5
	install -D -m 0644 deploy/payhook.service $(DESTDIR)$(PREFIX)/lib/systemd/system/payhook.service
	sed -i 's|/usr/bin/payhook|$(PREFIX)/bin/payhook|' $(DESTDIR)$(PREFIX)/lib/systemd/system/payhook.service

deb: ## build the Debian package build-deb/payhook_VERSION_ARCH.deb
	@tools/setup deb
	@tools/deb

deb-check: ## install, serve, upgrade, remove and purge it in a Debian of its own (root)
	@tools/setup deb-check
	@tools/deb-check

clean: ## remove what was built
	rm -rf $(BUILD) build-*

FORCE:
.PHONY: all help setup run check asan tsan lint fuzz cover timing faults bench bench-grow lambda install install-files deb deb-check clean FORCE
