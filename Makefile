# SPDX-License-Identifier: Apache-2.0
# The front door. Meson builds (meson.build); this page only names what there is to do.
BUILD ?= build
DESTDIR ?=
PREFIX ?= /usr/local

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

check: setup ## every test, with all its own set-up
	@tools/check

asan: setup ## unit and contract tests under the address and undefined behaviour sanitizers
	@tools/check asan

tsan: setup ## integration tests over a thread-sanitized server
	@tools/check tsan

lint: ## formatting, arrows between rooms, clang-tidy, cppcheck
	@tools/setup lint
	@tools/lint

fuzz: ## each fuzz target for T seconds (default 60)
	@tools/setup fuzz
	@tools/fuzz $(T)

bench: setup ## durable acks a second beside a null server of the same code
	@tools/setup bench
	@bench/run

install: all ## install the program under PREFIX (default /usr/local)
	install -D -m 0755 $(BUILD)/src/app/payhook $(DESTDIR)$(PREFIX)/bin/payhook

clean: ## remove what was built
	rm -rf $(BUILD) build-*

FORCE:
.PHONY: all help setup run check asan tsan lint fuzz bench install clean FORCE
