# The front door. `make check` is what CI runs.

SWIFT ?= swift
SWIFTC ?= swiftc
BUILD := .build
STATIC := $(BUILD)/static
PREFIX ?= /usr/local
# The program that scripts test: the debug build, as it is made soonest. `make check` has most of them test the static one.
VMM ?= $(BUILD)/debug/vmm
TESTED := $(if $(filter $(abspath $(STATIC))/%,$(abspath $(VMM))),release,build)
SHARED := man/man1/vmm.1 bash-completion/completions/vmm zsh/site-functions/_vmm fish/vendor_completions.d/vmm.fish
EMBEDDED := -enable-experimental-feature Embedded -wmo -parse-as-library -Osize \
	-swift-version 6 -strict-memory-safety -warnings-as-errors \
	-enable-upcoming-feature ExistentialAny -enable-upcoming-feature MemberImportVisibility

.PHONY: all setup preflight build test test-moved test-races test-heap mutants mutants-sandbox sweep-smoke sweep-long test-torture torture test-linux-torture test-cli test-terminal test-qtest test-law ledger law-mutants test-docs test-control test-snapshot snapshots test-network test-sandbox test-nested test-linux cross-check grid fuzz-replay fuzz-burst embedding embedding-aarch64 chain test-faults test-concurrency concurrency stress stress-burst pure guest release share install uninstall dist deb docs picture api-check bench bench-smoke lint format check clean test-linux-suspend test-linux-network linux-guests test-debug test-traps test-debug-linux test-linux-snapshot test-resources resources

all: build

setup: ## installs what the checks need, by apt-get
	Tests/needs.sh install

preflight: ## names all that the checks need and that is missing here
	@Tests/needs.sh check

build: ## the debug build
	$(SWIFT) build

test: ## unit tests, and on /dev/kvm the integration tests
	$(SWIFT) build --build-tests
	Tests/run.sh $(SWIFT)

test-moved: ## a build folder that was moved
	Tests/moved.sh $(SWIFT)

test-cli: $(TESTED) ## vmm as a user meets it
	Tests/cli/run.sh $(VMM)
	Tests/cli/files.py $(VMM)
	Tests/cli/messages.py
	Tests/release/completions.py $(VMM)

test-terminal: build ## vmm as a job of a shell at a terminal, and a crash in each of its threads
	Tests/terminal/jobs.py $(BUILD)/debug/vmm
	Tests/terminal/programs.py $(BUILD)/debug/vmm
	Tests/terminal/consoles.py $(BUILD)/debug/vmm
	Tests/terminal/trap.py $(BUILD)/debug/vmm

test-qtest: $(TESTED) ## the devices driven by a script, and the same lines for QEMU
	Tests/qtest/run.sh $(VMM)

test-law: $(TESTED) ## each clause of VIRTIO 1.4 as an observer of the devices sees it, and the ledger of what shows it
	Tests/law/run.py $(VMM) > $(BUILD)/law.tap || { grep -A 2 "^not ok" $(BUILD)/law.tap; exit 1; }
	tail -n 1 $(BUILD)/law.tap
	Tests/law/ledger.py $(VMM) $(BUILD)/law.tap --check

ledger: $(TESTED) ## writes that ledger, Documentation.docc/SpecificationLedger.md; with what Linux met, if make test-linux ran
	if [ -e $(BUILD)/linux/met.tsv ]; then cp $(BUILD)/linux/met.tsv Tests/law/met.tsv; fi
	Tests/law/run.py $(VMM) > $(BUILD)/law.tap
	Tests/law/ledger.py $(VMM) $(BUILD)/law.tap

law-mutants: ## breaks the device once for each line of Tests/law/mutants.tsv, and shows which of those scripts notice
	Tests/law/mutants.py $(BUILD)/mutants

test-control: build ## a running machine controlled by QEMU's machine protocol and from a shell
	Tests/control/run.sh $(BUILD)/debug/vmm

test-snapshot: build ## machines stopped, written down and started again, and what comes between
	Tests/snapshot/points.py $(BUILD)/debug/vmm 10
	Tests/snapshot/faults.py $(BUILD)/debug/vmm 10

snapshots: release ## the same at POINTS random moments, 500 if not said, and with 50 kills and 1,000 changes of its files
	Tests/snapshot/points.py $(STATIC)/release/vmm $(or $(POINTS),500)
	Tests/snapshot/nested.sh $(STATIC)/release/vmm $(BUILD)/nested $(or $(POINTS),500)
	Tests/snapshot/faults.py $(STATIC)/release/vmm 50 1000

test-debug: build guest ## the guest debugged by gdb and lldb, and by packets
	Tests/debug/run.sh $(BUILD)/debug/vmm $(BUILD)/guest/guest.symbols

test-debug-linux: release guest ## Linux debugged by gdb under kvm_amd, in a nested host
	Tests/debug/linux.sh $(STATIC)/release/vmm $(BUILD)/linux $(BUILD)/nested $(BUILD)/guest/guest.symbols

test-traps: build ## each place where vmm can trap has its reason, and inputs that once made it trap are refused
	Tests/traps/hostile.py $(BUILD)/debug/vmm
	BUILD=$(abspath $(BUILD)) SWIFTC=$(SWIFTC) Tests/traps/list.py --check

test-network: build ## the guest over a TAP interface, in a network namespace of its own
	Tests/network/run.sh $(BUILD)/debug/vmm

test-sandbox: build ## what a thread of vmm may not do once the guest runs, and what a running vmm has
	Tests/sandbox/run.py $(BUILD)/debug/vmm

mutants-sandbox: ## takes each layer of the sandbox away in turn, and shows which checks notice
	Tests/sandbox/mutants.sh

test-docs: $(TESTED) ## every command and table of README.md and the documentation
	Tests/docs/commands.py $(VMM)

docs: build ## the documentation as a static site, .build/docs/site
	Tests/docs/diagrams.py $(BUILD)/debug/vmm --check
	Tests/docs/site.sh $(BUILD)/debug/vmm $(BUILD)/debug/Modules $(BUILD)/docs

test-nested: release ## the guest under kvm_amd, in a host made from Debian packages; and the sandbox of a static vmm, here and there
	Tests/sandbox/run.py $(STATIC)/release/vmm
	Tests/nested/guest.sh $(STATIC)/release/vmm $(BUILD)/nested
	Tests/snapshot/nested.sh $(STATIC)/release/vmm $(BUILD)/nested

linux-guests: $(BUILD)/linux/made ## what those tests boot, made from Debian's packages

# Made once for the checks, whose second lane is ahead of the tests.
$(BUILD)/linux/made: $(wildcard Tests/linux/* Tests/nested/package.sh guest/linux/*)
	Tests/linux/build.sh $(BUILD)/linux
	touch $@

test-linux: release linux-guests ## stock Debian kernels under kvm_amd, in that host: devices, ways to boot, ways to end
	Tests/linux/run.sh $(STATIC)/release/vmm $(BUILD)/linux $(BUILD)/nested

test-linux-suspend: release linux-guests ## the suspensions there in their long form: a hundred cycles under load in both dialects
	Tests/linux/run.sh $(STATIC)/release/vmm $(BUILD)/linux $(BUILD)/nested suspend

test-linux-network: release linux-guests ## the network's tests there in their long form: all forms, 256 MiB each way, 20 suspends
	Tests/linux/run.sh $(STATIC)/release/vmm $(BUILD)/linux $(BUILD)/nested network

test-linux-snapshot: release linux-guests ## the snapshots' tests there in their long form: 20 restores
	Tests/linux/run.sh $(STATIC)/release/vmm $(BUILD)/linux $(BUILD)/nested snapshot

test-torture: $(TESTED) ## a right driver and naive ones with devices that make every choice, and the guest in virtio-mmio version 3
	Tests/torture/run.py $(VMM)
	Tests/torture/guest.sh $(VMM)

torture: release ## the same with SEEDS seeds of the right driver, 2,000 if not said
	Tests/torture/run.py $(STATIC)/release/vmm $(or $(SEEDS),2000)

test-linux-torture: release linux-guests ## Linux's drivers with such devices in the nested host: SEEDS seeds, 200 if not said
	Tests/linux/run.sh $(STATIC)/release/vmm $(BUILD)/linux $(BUILD)/nested torture

RACES := RaceTests|SlotTests|QTestServer|SocketLink|ConsolePort|DiskEngine|FileDisk|BlockingIOPool|SharedSync|Overlay|NetworkDevice|StopTests|Debugger|Entropy|FrameCapture

test-races: ## the tests with real threads, under ThreadSanitizer
	$(SWIFT) test --sanitize thread --scratch-path $(BUILD)/tsan --filter "$(RACES)"

test-heap: ## those tests RUNS times, 100 if not said, under the C library's checks of its heap, each with other contents of freed memory
	$(SWIFT) build --build-tests
	for run in $$(seq $(or $(RUNS),100)); do \
		LD_PRELOAD=libc_malloc_debug.so.0 GLIBC_TUNABLES=glibc.malloc.check=3 MALLOC_PERTURB_=$$run VMM_ROUNDS=1000 \
			$(BUILD)/debug/vmmPackageTests.xctest --testing-library swift-testing --filter "$(RACES)" > $(BUILD)/heap.log 2>&1 || \
			{ echo "run $$run failed; $(BUILD)/heap.log says how" >&2; exit 1; }; \
		echo "run $$run: $$(tail -n 1 $(BUILD)/heap.log)"; \
	done

mutants: ## breaks the model on purpose, many ways, and shows which tests notice
	Tests/mutations/run.sh

fuzz-replay: ## the fuzz corpus and every input that once failed, with what they cover of Sources/Virtio
	Tests/Fuzz/run.sh replay

fuzz-burst: ## a few seconds of fuzzing for each target
	Tests/Fuzz/run.sh burst

fuzz-%: ## fuzz-TARGET: fuzzes one target for SECONDS=300; what it finds stays in .build/fuzz/TARGET
	Tests/Fuzz/run.sh fuzz $* $(or $(SECONDS),300)

cross-check: $(TESTED) ## the guest's drivers against QEMU's devices, and those beside ours, register by register
	Tests/cross-check/run.sh $(VMM)

# SwiftPM does not notice files that are new in a package it depends on: it is made to plan the build again.
BUILD_HOSTS = rm -f $(BUILD)/embedding/release.yaml && \
	$(SWIFT) build -c release --package-path Tests/Embedding --scratch-path $(BUILD)/embedding

embedding: ## the device model in hosts that are not vmm
	$(BUILD_HOSTS)
	$(BUILD)/embedding/release/embedding
	$(BUILD)/embedding/release/entropy

embedding-aarch64: ## the first of them without an operating system, on an emulated processor that is not x86
	Tests/Embedding/aarch64/run.sh $(SWIFTC) $(BUILD)/embedding-aarch64

chain: ## a request's instructions in such a host: no call of the Swift runtime, no allocation
	$(BUILD_HOSTS) --product chain
	Tests/bench/chain.py $(BUILD)/embedding/release/chain

grid: $(TESTED) ## the guest's whole suite for a grid of ring features and queue sizes
	Tests/grid/run.sh $(VMM)

test-faults: build ## vmm killed, its host's calls failing, its files cut, its console gone, its network's peers gone; and no thread awake while suspended
	Tests/stress/faults.py $(BUILD)/debug/vmm
	Tests/stress/no_uring.py $(BUILD)/debug/vmm
	Tests/stress/kill.py $(BUILD)/debug/vmm 5
	Tests/stress/quiet.py $(BUILD)/debug/vmm
	Tests/stress/network.py $(BUILD)/debug/vmm 4

test-resources: build ## what vmm takes from the host does not grow with starts, suspends, resets and output; and limits of the host
	Tests/stress/resources.py $(BUILD)/debug/vmm
	Tests/stress/limits.py $(BUILD)/debug/vmm
	Tests/stress/machines.sh 10 $(SWIFT)

resources: release ## the first of these a thousand times: 1,000 starts, 10,000 rounds, 100 MiB; and 1,000 machines in one process
	Tests/stress/resources.py $(STATIC)/release/vmm 1000 10000 100
	Tests/stress/machines.sh 1000 $(SWIFT)

stress: release ## many requests and suspends over every engine of a file disk, and a network beside them, for SECONDS, 600 if not said
	Tests/stress/run.sh $(STATIC)/release/vmm $(SECONDS)

stress-burst: build ## twenty seconds of that
	Tests/stress/run.sh $(BUILD)/debug/vmm 20

test-concurrency: $(TESTED) ## two and four processors that access one disk at once, in both dialects, with every engine; the trace is replayed
	Tests/stress/concurrency.py $(VMM)

concurrency: release ## the same with ACCESSES in each run, a million if not said, and 100,000 in the nested host
	Tests/stress/concurrency.py $(STATIC)/release/vmm $(or $(ACCESSES),1000000)
	Tests/nested/guest.sh $(STATIC)/release/vmm $(BUILD)/nested 50000

sweep-smoke: $(TESTED) ## a grid of runs: what passes, what is reported, and that pieces of it are one run
	Tests/sweep/run.sh $(VMM)

sweep-long: $(TESTED) ## 500 cells by GNU parallel in two shards, merged, against one run
	Tests/sweep/run.sh $(VMM) long

PURE := x86_64-unknown-none-elf aarch64-none-none-elf riscv64-none-none-eabi

pure: $(addprefix pure-,$(PURE)) ## the device model as Embedded Swift, for three processors: no Foundation, no Glibc, no locks, no boxes

pure-%:
	mkdir -p $(BUILD)/pure/$*
	$(SWIFTC) -target $* $(EMBEDDED) -module-name VirtioABI -emit-module-path $(BUILD)/pure/$*/VirtioABI.swiftmodule \
		-c $$(find Sources/VirtioABI -name '*.swift') -o $(BUILD)/pure/$*/VirtioABI.o
	$(SWIFTC) -target $* $(EMBEDDED) -module-name Virtio -I $(BUILD)/pure/$* -emit-module-path $(BUILD)/pure/$*/Virtio.swiftmodule \
		-c $$(find Sources/Virtio -name '*.swift') -o $(BUILD)/pure/$*/Virtio.o

picture: build ## README's picture of a terminal session, from a real one, and the documentation's diagrams
	Tests/docs/diagrams.py $(BUILD)/debug/vmm
	Tests/docs/picture.py $(BUILD)/debug/vmm > $(BUILD)/session.svg
	mv $(BUILD)/session.svg Sources/Virtio/Documentation.docc/Resources/

api-check: ## breaking changes of the libraries since the last tag
	tag=$$(git describe --tags --abbrev=0 2> /dev/null) || { echo "api-check: there is no tag yet; make one: git tag 0.2.0"; exit 0; }; \
	$(SWIFT) package diagnose-api-breaking-changes "$$tag" --products Virtio KVM Machine

guest: ## the built-in guest as an ELF file, .build/guest/guest.elf
	guest/build.sh $(BUILD)/guest

# Without the cache the commit in --version is asked for though no source has changed.
release: ## a static vmm that runs in a bare initramfs, .build/static/release/vmm
	$(SWIFT) build -c release -Xswiftc -static-executable --scratch-path $(STATIC) --product vmm --disable-build-manifest-caching

share: release ## the manual page and the completions, .build/share
	Tests/release/share.sh $(STATIC)/release/vmm $(BUILD)/share $(SWIFT) $(BUILD)

install: share ## the program, its manual and its completions, below PREFIX, /usr/local if not said; DESTDIR in front of it
	install -D -m 755 -s $(STATIC)/release/vmm $(DESTDIR)$(PREFIX)/bin/vmm
	for file in $(SHARED); do install -D -m 644 $(BUILD)/share/$$file $(DESTDIR)$(PREFIX)/share/$$file || exit 1; done

uninstall: ## removes what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/vmm $(addprefix $(DESTDIR)$(PREFIX)/share/,$(SHARED))

dist: share ## .build/dist: an archive of all that, the licence, the notices and checksums; the same bytes from the same commit
	Tests/release/dist.sh $(STATIC)/release/vmm $(BUILD)/share $(BUILD)/dist

deb: dist ## a Debian package of it, .build/dist/vmm_VERSION_amd64.deb
	Tests/release/deb.sh $(BUILD)/dist

bench: release guest ## vmm and its peers, measured side by side; ROWS="mmio start" for some of it, BENCH= for other options
	$(SWIFT) build -c release -Xswiftc -static-executable --scratch-path $(STATIC) --product vmm-bench
	Tests/bench/run.sh $(STATIC)/release/vmm-bench $(STATIC)/release/vmm $(BUILD)/guest/guest.elf $(BUILD)/bench \
		--json $(BUILD)/bench/results.json $(BENCH) $(ROWS)

bench-smoke: build guest ## that the benchmarks run, with a little of each
	Tests/bench/smoke.sh $(BUILD)/debug/vmm-bench $(BUILD)/debug/vmm $(BUILD)/guest/guest.elf

lint:
	$(SWIFT) format lint --strict --parallel --recursive Package.swift Sources Tests guest

format:
	$(SWIFT) format --in-place --parallel --recursive Package.swift Sources Tests guest

# test-concurrency, the first of these that needs the static program, comes when the other steps have made it.
CHECKS := lint build test test-moved stress-burst test-faults test-resources test-concurrency docs test-control \
	test-snapshot test-debug test-network test-sandbox test-terminal bench-smoke test-linux
# What is made beside them: first what needs no build of vmm, then what needs the static one, and the debug build, which is there by then.
BESIDE := pure embedding embedding-aarch64 chain fuzz-replay fuzz-burst test-nested linux-guests grid sweep-smoke test-torture cross-check \
	test-qtest test-law test-traps test-cli test-docs

check: export KVM_TESTS := $(abspath $(BUILD))/kvm-tests
check: export VMM := $(abspath $(STATIC))/release/vmm
check: export VMM_SANDBOX ?= $(shell Tests/sandbox/layers.py)
check: preflight ## all of it, and how many tests ran on KVM, and where
	mkdir -p $(BUILD)
	: > $(KVM_TESTS)
	+MAKE="$(MAKE)" Tests/steps.sh $(CHECKS) -- $(BESIDE)
	Tests/kvm.sh summary

clean:
	rm -rf $(BUILD)
