# refork: `make demo` shows it, `make test` proves it, `make help` lists the rest.
#
#   make CC=clang            another compiler, in a folder of its own (build-clang)
#   make SAN=address,undefined test    with sanitizers (build-address-undefined)
#   make WERROR=1            warnings are errors (also when CI is set)
#   make V=1                 show the commands
#   make install PREFIX=/usr DESTDIR=/tmp/stage
SHELL := /bin/bash
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

# `CC ?= gcc` would have no effect: make predefines cc
ifeq ($(origin CC),default)
CC := gcc
endif
PREFIX ?= /usr/local
comma := ,
BUILD := build$(if $(filter-out gcc,$(notdir $(CC))),-$(notdir $(CC)))$(if $(SAN),-$(subst $(comma),-,$(SAN)))
Q := $(if $(V),,@)
say = $(if $(V),:,printf '  %-7s %s\n' $(1) $(2))
JOBS ?= $(shell nproc)

# ---- what it needs ---------------------------------------------------------------------------------------------
BUILD_PACKAGES := gcc g++ make pkg-config libc6-dev libseccomp-dev libzstd-dev libunwind-dev libdw-dev libelf-dev \
	libncurses-dev libzydis-dev libjansson-dev libxxhash-dev
TEST_PACKAGES := libcmocka-dev tmux clang clang-format mandoc shellcheck strace musl-tools binutils jq bash coreutils \
	tar gzip xz-utils perl python3 python3-jsonschema sqlite3 util-linux findutils procps gdb gdbserver libglib2.0-dev libgomp1 \
	libgoogle-perftools4 libtcmalloc-minimal4 libjemalloc2 libmimalloc2.0 libspdlog-dev libc6-dbg \
	parallel zsh fish
PACKAGES ?= $(BUILD_PACKAGES) $(TEST_PACKAGES)

PC := libzstd libxxhash libunwind libdw libelf ncursesw jansson libseccomp
# Zydis of Debian has no .pc file; libstdc++, for __cxa_demangle, is loaded when it is needed
LDLIBS := -lzstd -lxxhash -lunwind -lunwind-x86_64 -ldw -lelf -lncursesw -ltinfo -ljansson -lseccomp -lZydis \
	-lpthread

# ---- flags -----------------------------------------------------------------------------------------------------
WARN := -Wall -Wextra $(if $(or $(CI),$(WERROR)),-Werror)
OPT ?= -O2
BASE := -std=gnu17 $(OPT) -g $(WARN) -D_GNU_SOURCE -I. -MMD -MP
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
ALL_CFLAGS := $(BASE) $(SANFLAGS) $(CFLAGS)

# ---- files -----------------------------------------------------------------------------------------------------
ROOMS := core recorder replayer search tui cli
SRCS := $(wildcard $(ROOMS:%=%/*.c) $(ROOMS:%=%/*/*.c))
OBJS := $(SRCS:%.c=$(BUILD)/%.o)
ROOM_OBJS := $(filter-out $(BUILD)/cli/%,$(OBJS))
CORE_OBJS := $(filter $(BUILD)/core/%,$(OBJS))
UNIT := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*.c))
FUZZ := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/*.c))
# One parser each, for libFuzzer or for tests/fuzz/driver/driver.c
TARGETS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/targets/*.c))
# Faults for tests/faults/run.sh
FAULTS := $(BUILD)/tests/faults/inject.so $(BUILD)/tests/faults/tamper
SAMPLES := $(addprefix $(BUILD)/,$(basename $(wildcard samples/*.c samples/*.cc)))
TUI_TEST := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/tui/*.c))
BENCH := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c))
# Drivers of libraries that are not refork's own, for tests/checks/real_*.sh
REAL := $(addprefix $(BUILD)/,$(basename $(wildcard tests/real/*.c tests/real/*.cc)))
# What single unit tests look at; those of several ways of building are built by their test
SUBJECTS := $(addprefix $(BUILD)/tests/unit/subjects/,verdicts disturbing short_loop shared_memory private_memory twice dirty counting)
# Variants of one kind each, by arguments: tests/case.sh
CASES := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/cases/*.c)) $(patsubst %.cc,$(BUILD)/%,$(wildcard tests/cases/*.cc))
# Rare twins of the samples with orphaned locks, for tests/checks/twins_*.sh
TWINS := $(addprefix $(BUILD)/,$(basename $(wildcard tests/twins/*.c tests/twins/*.cc)))
EDIT := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/proof/*.c))
# Programs that the proof records. Some exist twice: NAME.static is the same source linked with -static.
PROGRAMS := $(addprefix $(BUILD)/,$(basename $(wildcard tests/programs/*.c tests/programs/*.cc)))
# Libraries that some of them load: without symbols
LIBRARIES := $(patsubst %.c,$(BUILD)/%.so,$(wildcard tests/libraries/*.c))
STATIC := $(addprefix $(BUILD)/tests/programs/,busy_calls.static busy_arith.static busy_flag.static threads_forks.static \
	lint_calls.static)
MUSL := $(BUILD)/tests/programs/children.musl
C_FILES := $(wildcard */*.c */*.cc */*.h samples/learn/*.c $(ROOMS:%=%/*/*.c) $(ROOMS:%=%/*/*.h) tests/*/*.c tests/*/*.cc tests/*/*.h \
	$(wildcard tests/*/*/*.c tests/*/*/*.cc))
SH_FILES := .ci/run $(shell find tests -name '*.sh' 2>/dev/null)

STATIC += $(BUILD)/tests/programs/gate_mutex.static

.PHONY: all help deps demo test check probes bench fuzz soak lint format clean install uninstall programs FORCE

all: $(BUILD)/refork ## build refork (build/refork)

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18
	@sed -nE '3,7s/^#   //p' $(firstword $(MAKEFILE_LIST)) | sed 's/^/  /'

# ---- refork ----------------------------------------------------------------------------------------------------
$(BUILD)/refork: $(OBJS)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $(OBJS) $(LDLIBS)

$(BUILD)/%.o: %.c $(BUILD)/.flags | $(BUILD)/.libraries
	@mkdir -p $(@D)
	@$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Code that runs in the recorded process, on its own few pages.
APART := -O2 -ffreestanding -fPIC -mgeneral-regs-only -mno-red-zone -fno-jump-tables -fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-sanitize=all -fomit-frame-pointer -DCOMPILED_APART
$(BUILD)/core/calls/call_code.o: ALL_CFLAGS += $(APART)

# Changed flags rebuild everything.
$(BUILD)/.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS) $(LDFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS) $(LDFLAGS)' >$@

$(BUILD)/.libraries:
	@mkdir -p $(@D)
	@pkg-config --exists $(PC) && echo '#include <Zydis/Zydis.h>' | $(CC) -E - >/dev/null 2>&1 || { \
	  echo "a library of refork is missing: run 'make deps', or: apt-get install $(BUILD_PACKAGES)"; \
	  pkg-config --exists --print-errors $(PC) 2>&1 | grep '^No package'; exit 1; } >&2
	@touch $@

# ---- test programs -----------------------------------------------------------------------------------------------
# Whatever refork is built with, these are built as a user would: gcc, no sanitizers.
programs: $(SAMPLES) $(CASES) $(PROGRAMS) $(STATIC) $(MUSL) $(BENCH) $(EDIT) $(TUI_TEST) $(REAL) $(TWINS) $(SUBJECTS) $(LIBRARIES)

SAMPLE_FLAGS = -O0 -g $(WARN) -D_GNU_SOURCE -I. $(WITH)
$(BUILD)/samples/glib_%: WITH = $(shell pkg-config --cflags --libs glib-2.0)
$(BUILD)/samples/omp_%: WITH = -fopenmp
$(BUILD)/tests/real/spdlog_%: WITH = $(shell pkg-config --cflags --libs spdlog)

$(BUILD)/samples/musl_%: samples/musl_%.c samples/stage.h samples/asleep.h
	@mkdir -p $(@D)
	@$(call say,SAMPLE,$< '(musl)')
	$(Q)musl-gcc -std=gnu17 -static -o $@ $< $(SAMPLE_FLAGS)

$(BUILD)/samples/%: samples/%.c samples/stage.h samples/asleep.h
	@mkdir -p $(@D)
	@$(call say,SAMPLE,$<)
	$(Q)gcc -std=gnu17 -o $@ $< -pthread $(SAMPLE_FLAGS)

$(BUILD)/samples/%: samples/%.cc samples/stage.h samples/asleep.h
	@mkdir -p $(@D)
	@$(call say,SAMPLE,$<)
	$(Q)g++ -std=gnu++20 -o $@ $< -pthread $(SAMPLE_FLAGS)

TWIN_FLAGS = -O1 -g $(WARN) -D_GNU_SOURCE -I. $(WITH)
$(BUILD)/tests/twins/glib: WITH = $(shell pkg-config --cflags --libs glib-2.0)

$(BUILD)/tests/twins/musl: tests/twins/musl.c tests/twins/rare.h
	@mkdir -p $(@D)
	@$(call say,TWINS,$< '(musl)')
	$(Q)musl-gcc -std=gnu17 -static -o $@ $< $(TWIN_FLAGS)

$(BUILD)/tests/twins/%: tests/twins/%.c tests/twins/rare.h
	@mkdir -p $(@D)
	@$(call say,TWINS,$<)
	$(Q)gcc -std=gnu17 -o $@ $< -pthread $(TWIN_FLAGS)

$(BUILD)/tests/twins/%: tests/twins/%.cc tests/twins/rare.h
	@mkdir -p $(@D)
	@$(call say,TWINS,$<)
	$(Q)g++ -std=gnu++20 -o $@ $< -pthread $(TWIN_FLAGS)

$(BUILD)/tests/real/%: tests/real/%.c samples/stage.h samples/asleep.h
	@mkdir -p $(@D)
	@$(call say,PROGRAM,$<)
	$(Q)gcc -std=gnu17 -o $@ $< -pthread $(SAMPLE_FLAGS)

$(BUILD)/tests/real/%: tests/real/%.cc samples/stage.h samples/asleep.h
	@mkdir -p $(@D)
	@$(call say,PROGRAM,$<)
	$(Q)g++ -std=gnu++20 -o $@ $< -pthread $(SAMPLE_FLAGS)

$(BUILD)/tests/cases/%: tests/cases/%.c samples/stage.h
	@mkdir -p $(@D)
	@$(call say,CASES,$<)
	$(Q)gcc -std=gnu17 -O1 -g $(WARN) -D_GNU_SOURCE -I. -o $@ $< -pthread

$(BUILD)/tests/cases/%: tests/cases/%.cc samples/stage.h
	@mkdir -p $(@D)
	@$(call say,CASES,$<)
	$(Q)g++ -std=gnu++20 -O1 -g $(WARN) -D_GNU_SOURCE -I. -o $@ $< -pthread

$(BUILD)/tests/programs/%: tests/programs/%.c tests/programs/program.h tests/programs/busy.h samples/stage.h samples/asleep.h
	@mkdir -p $(@D)
	@$(call say,PROGRAM,$<)
	$(Q)gcc -std=gnu17 -O1 -g $(WARN) -D_GNU_SOURCE -I. -o $@ $< -pthread

$(BUILD)/tests/programs/%: tests/programs/%.cc samples/stage.h samples/asleep.h
	@mkdir -p $(@D)
	@$(call say,PROGRAM,$<)
	$(Q)g++ -std=gnu++20 -O1 -g $(WARN) -D_GNU_SOURCE -I. -o $@ $< -pthread

$(BUILD)/tests/libraries/%.so: tests/libraries/%.c
	@mkdir -p $(@D)
	@$(call say,LIBRARY,$<)
	$(Q)gcc -std=gnu17 -O1 $(WARN) -fPIC -shared -s -o $@ $<

$(BUILD)/tests/programs/%.static: tests/programs/%.c tests/programs/program.h tests/programs/busy.h samples/asleep.h
	@mkdir -p $(@D)
	@$(call say,PROGRAM,$< '(static)')
	$(Q)gcc -std=gnu17 -O1 -g $(WARN) -D_GNU_SOURCE -I. -static -o $@ $< -pthread

$(BUILD)/tests/programs/%.musl: tests/programs/%.c tests/programs/program.h tests/programs/busy.h samples/asleep.h
	@mkdir -p $(@D)
	@$(call say,PROGRAM,$< '(musl)')
	$(Q)musl-gcc -std=gnu17 -O1 -g $(WARN) -D_GNU_SOURCE -I. -static -o $@ $<

$(BUILD)/tests/unit/subjects/private_memory: WITH = -Wl,-z,noseparate-code
$(BUILD)/tests/unit/subjects/twice: WITH = -O0
$(BUILD)/tests/unit/subjects/%: tests/unit/subjects/%.c samples/stage.h samples/asleep.h
	@mkdir -p $(@D)
	@$(call say,PROGRAM,$<)
	$(Q)gcc -std=gnu17 -O1 -g $(WARN) -D_GNU_SOURCE -I. $(WITH) -o $@ $< -pthread

$(BUILD)/tests/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	@$(call say,BENCH,$<)
	$(Q)gcc -std=gnu17 -O2 -g $(WARN) -D_GNU_SOURCE -o $@ $< -pthread

$(UNIT) $(TUI_TEST): $(BUILD)/%: $(BUILD)/%.o $(ROOM_OBJS)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

$(FUZZ) $(EDIT): $(BUILD)/%: $(BUILD)/%.o $(CORE_OBJS)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

LIBFUZZER := $(filter fuzzer-no-link,$(subst $(comma), ,$(SAN)))
$(TARGETS): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/tests/fuzz/driver/refused.o \
		$(if $(LIBFUZZER),,$(BUILD)/tests/fuzz/driver/driver.o) $(ROOM_OBJS)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(SANFLAGS) $(if $(LIBFUZZER),-fsanitize=fuzzer) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tests/faults/tamper: $(BUILD)/tests/faults/tamper.o $(CORE_OBJS)
	@$(call say,LINK,$@)
	$(Q)$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/tests/faults/inject.so: tests/faults/inject.c
	@mkdir -p $(@D)
	@$(call say,LIB,$<)
	$(Q)gcc -std=gnu17 -O1 -g $(WARN) -D_GNU_SOURCE -shared -fPIC -o $@ $<

-include $(patsubst %,%.d,$(OBJS:.o=) $(UNIT) $(FUZZ) $(EDIT) $(TUI_TEST) $(TARGETS))

# ---- what a user runs --------------------------------------------------------------------------------------------
deps: ## install the Debian packages that are missing (touches nothing when all are there)
	@missing=; \
	command -v dpkg-query >/dev/null || { echo "this is not Debian: install what corresponds to: $(PACKAGES)" >&2; exit 0; }; \
	for p in $(PACKAGES); do \
	  [ "$$(dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null)" = installed ] || missing="$$missing $$p"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ]; then as=; \
	elif command -v sudo >/dev/null; then as=sudo; \
	else echo "missing packages, and neither root nor sudo to install them; as root: apt-get install$$missing" >&2; exit 1; fi; \
	echo "installing:$$missing"; \
	$$as apt-get -qq update && $$as env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing || { \
	  echo "could not install; as root: apt-get install$$missing" >&2; exit 1; }

demo: ## record, replay and explain a fork deadlock (the TUI on a terminal, else text)
	@$(MAKE) --no-print-directory deps PACKAGES="$(BUILD_PACKAGES)"
	@$(MAKE) --no-print-directory -j$(JOBS) all $(BUILD)/samples/mutex_deadlock
	@tests/demo.sh $(BUILD)

test: ## build and run every test; ends with `N passed, N failed`
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$(JOBS) all programs $(UNIT) $(TARGETS) $(FAULTS)
	@$(MAKE) --no-print-directory -j$(JOBS) SAN=address,undefined fuzzers
	@tests/run.sh $(BUILD)

check: all programs $(UNIT) $(TARGETS) $(FAULTS) ## the tests named in T="..." (patterns of names), as: make check T='proof-sort*'
	@tests/run.sh $(BUILD) $(T)

DISPLACED := $(addprefix $(BUILD)/tests/unit/test_,probe probe_stub call_site loop_site)
probes: all programs $(DISPLACED) ## with and without --probes=off: the same calls, verdict, locks and lint of all samples; all proofs and samples recorded and replayed without; every displaced form
	$(Q)tests/run.sh $(BUILD) unit-probe unit-probe_stub unit-call_site unit-loop_site check-own_calls
	$(Q)WHOLE=1 tests/checks/probes.sh $(BUILD)
	$(Q)PROBES=off tests/run.sh $(BUILD) 'proof-*' 'sample-*'
bench: ## the speed table: native, strace, bare tracer, record, replay; the runs that a rare deadlock needs (BASE=FOLDER: beside another build)
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$(JOBS) all programs
	@BASE=$(BASE) tests/bench/run.sh $(BUILD) $(W)

FUZZED = $(BUILD)-clang-fuzzer-no-link-address-undefined
fuzz: all programs ## mutated traces (RUNS=100000, SEED=1), then libFuzzer for EACH=300 seconds on each reader
	@$(MAKE) --no-print-directory -j$(JOBS) SAN=address,undefined fuzzers
	@tests/fuzz.sh $(BUILD) $(or $(SEED),1) $(or $(RUNS),100000)
	@$(MAKE) --no-print-directory -j$(JOBS) CC=clang SAN=fuzzer-no-link,address,undefined OPT=-O1 targets
	@tests/fuzz/targets.sh $(BUILD) - $(or $(EACH),300) $(FUZZED)
targets: $(TARGETS)

faults: all programs $(FAULTS) ## every write, allocation and kind of tampering once; the recorder killed KILLS=1000 times
	@tests/faults/run.sh $(BUILD) $(or $(STEP),1) $(or $(KILLS),1000)
.PHONY: targets faults

fuzzers: $(FUZZ)
.PHONY: fuzzers

soak: all programs ## repeat the proof list until it fails or for MINUTES=60
	@tests/soak.sh $(BUILD) $(or $(MINUTES),60)

programs-table: all ## record and replay the programs of tests/real/programs.list: the table in docs/programs.md
	@tests/real/programs.sh $(BUILD) >$(BUILD)/programs.table
	@sed -i -e '/^| program |/,$$d' docs/programs.md && cat $(BUILD)/programs.table >>docs/programs.md
.PHONY: programs-table

traces: all $(BUILD)/tests/programs/no_cpuid_faulting ## record those of tests/traces that are of this machine's kind of CPU anew
	@tests/traces/make.sh $(BUILD)
.PHONY: traces

graph: all ## pictures: of the folders and their order, docs/house.svg, and of the files and their calls, build/graph.svg
	@$(MAKE) --no-print-directory deps PACKAGES=graphviz
	@tests/graph.py $(BUILD) --dot-rooms | dot -Tsvg -o docs/house.svg
	@tests/graph.py $(BUILD) --dot | dot -Tsvg -o $(BUILD)/graph.svg
	@echo 'docs/house.svg $(BUILD)/graph.svg'
.PHONY: graph

groups: all ## the groups of files that call each other in circles, with the calls
	@tests/graph.py $(BUILD) --groups
.PHONY: groups

lint: pages ## clang-format, mandoc, shellcheck
	@clang-format --dry-run -Werror $(C_FILES)
	@mandoc -Tlint -Wwarning docs/*.1
	@shellcheck -x -e SC2015,SC2016,SC2094 $(SH_FILES) $(BUILD)/completion/refork.bash
	@mandoc -Tlint -Wwarning $(PAGES)
	@echo 'lint: clean'

format: ## run clang-format on every C file
	@clang-format -i $(C_FILES)

clean: ## remove what was built
	rm -rf build build-*

# Manual pages of the commands, and the completions: made from docs/refork.1 and from refork's own tables.
COMMANDS := $(shell sed -nE 's/^COMMAND\((.*)\)/\1/p' cli/commands.def)
SHELLS := bash zsh fish
PAGES := $(COMMANDS:%=$(BUILD)/man/refork-%.1)
COMPLETIONS := $(SHELLS:%=$(BUILD)/completion/refork.%)

$(BUILD)/man/refork-%.1: docs/refork.1 docs/man.awk $(BUILD)/refork
	@mkdir -p $(@D)
	$(Q)awk -v command=$* -f docs/man.awk docs/refork.1 <($(BUILD)/refork help $*) >$@

$(BUILD)/completion/refork.%: $(BUILD)/refork
	@mkdir -p $(@D)
	$(Q)$(BUILD)/refork help --completion $* >$@

pages: $(PAGES) $(COMPLETIONS) ## the manual page of each command and the completions of the shells, below build/
.PHONY: pages

share = $(DESTDIR)$(PREFIX)/share
install: all pages ## into PREFIX (/usr/local), below DESTDIR
	install -D -m 755 $(BUILD)/refork $(DESTDIR)$(PREFIX)/bin/refork
	install -D -m 644 -t $(share)/man/man1 docs/refork.1 $(PAGES)
	install -D -m 644 $(BUILD)/completion/refork.bash $(share)/bash-completion/completions/refork
	install -D -m 644 $(BUILD)/completion/refork.zsh $(share)/zsh/site-functions/_refork
	install -D -m 644 $(BUILD)/completion/refork.fish $(share)/fish/vendor_completions.d/refork.fish

	install -D -m 644 -t $(share)/refork/samples samples/*.c samples/*.cc samples/*.h
	install -D -m 644 -t $(share)/refork/samples/learn samples/learn/*

# The programs of the lessons, for machines without a compiler. Their sources are found where install puts them.
LESSON_SOURCES = $(sort $(shell sed -nE 's/^(program|fix|exercise): //p' samples/learn/*.lesson))
LESSONS = $(patsubst %.c,$(BUILD)/lessons/%,$(LESSON_SOURCES))
$(BUILD)/lessons/%: %.c samples/stage.h samples/asleep.h
	@mkdir -p $(@D)
	@$(call say,LESSON,$<)
	$(Q)gcc -std=gnu17 -O0 -g $(WARN) -D_GNU_SOURCE -I. -fdebug-prefix-map=$(CURDIR)=$(PREFIX)/share/refork -o $@ $< -pthread

install-lessons: $(LESSONS) ## ... and the programs of `refork learn`, for machines without a compiler
	set -e; for program in $(LESSON_SOURCES:.c=); do install -D -m 755 $(BUILD)/lessons/$$program $(DESTDIR)$(PREFIX)/lib/refork/$$program; done
.PHONY: install-lessons

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/refork $(share)/man/man1/refork.1 $(COMMANDS:%=$(share)/man/man1/refork-%.1) \
	  $(share)/bash-completion/completions/refork $(share)/zsh/site-functions/_refork \
	  $(share)/fish/vendor_completions.d/refork.fish
	rm -rf $(share)/refork $(DESTDIR)$(PREFIX)/lib/refork

static: all ## refork without shared libraries, for containers that have none: build/refork-static
	@packaging/static.sh $(BUILD) $(CC) $(OBJS)
.PHONY: static

deb: ## a Debian package of this tree: build/deb/refork_VERSION_amd64.deb (DEBEMAIL=, DEBFULLNAME=: its maintainer)
	@$(MAKE) --no-print-directory deps PACKAGES="$(BUILD_PACKAGES) debhelper dpkg-dev lintian"
	@packaging/deb.sh $(BUILD)
.PHONY: deb

samples-index: ## docs/samples.md, the index of the samples, from their heads
	@LC_ALL=C awk -f docs/samples.awk docs/json.md samples/*.c samples/*.cc >$(BUILD)/samples.md
	@cp $(BUILD)/samples.md docs/samples.md
.PHONY: samples-index

screen: ## docs/screen.svg, the picture in README.md, from a golden screen of the TUI
	@docs/screen.py tests/tui/golden/waits-120x30.txt >$(BUILD)/screen.svg
	@cp $(BUILD)/screen.svg docs/screen.svg
.PHONY: screen

keys: all ## put the TUI's keys into the manual page
	@$(BUILD)/refork help --keys --roff | awk -f docs/keys.awk >$(BUILD)/keys.roff
	@sed -i -e '/end keys/e cat $(BUILD)/keys.roff' -e '/begin keys/,/end keys/{/begin keys/b;/end keys/b;d}' docs/refork.1
.PHONY: keys
