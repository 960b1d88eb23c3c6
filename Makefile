# Builds vov, its library and its tests. `make help` lists the targets. A file config.mk, which git
# ignores, may set any variable below. V=1 shows the commands.
-include config.mk

VERSION := 0.1.0
SONAME  := libvov.so.0
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
LIBDIR  ?= $(PREFIX)/lib
INCDIR  ?= $(PREFIX)/include
MANDIR  ?= $(PREFIX)/share/man
DATADIR ?= $(PREFIX)/share/vov
KIND    ?= release
CLANG_FORMAT ?= clang-format
ifeq ($(origin CC),default)
CC := gcc
endif

O := build/$(KIND)
PKGS := libpng libjpeg libcjson expat
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
        -Wwrite-strings -Wcast-qual -Wdouble-promotion -Wvla -Wformat=2
OPT_release := -O2 -g
OPT_double  := -O2 -g -DVOV_REAL=double -Wno-double-promotion
OPT_asan    := -O1 -g -fsanitize=address -fno-omit-frame-pointer
OPT_ubsan   := -O1 -g -fsanitize=undefined -fno-sanitize-recover=all
OPT_tsan    := -O1 -g -fsanitize=thread
OPT_aarch64 := -O2 -g
OPT_lint-gcc    := -O2 -Werror
OPT_lint-clang  := -O1 -Werror
OPT_lint-double := -O1 -Werror -DVOV_REAL=double -Wno-double-promotion
# Kernels: sums may be reordered and vectorised; NaN and infinity stay what they are.
KERNEL := -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast

CPPFLAGS += -Isrc -D_GNU_SOURCE -DVOV_VERSION='"$(VERSION)"' -MMD -MP
CFLAGS   += -std=c17 -fPIC -fvisibility=hidden -pthread $(WARN) $(OPT_$(KIND)) \
            $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDLIBS   += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm -pthread
CHECK_LIBS = $(shell pkg-config --cflags --libs check)

# Kernels for other machines than the compiler's.
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
ALIEN   := $(if $(filter x86_64,$(MACHINE)),,src/cpu/kernels_avx2.c src/cpu/kernels_avx512.c \
           src/data/resample_avx2.c) \
           $(if $(filter aarch64,$(MACHINE)),,src/cpu/kernels_neon.c)

SRC      := $(filter-out src/main.c $(ALIEN),$(wildcard src/*.c src/*/*.c))
OBJ      := $(SRC:%.c=$O/%.o)
LIB_OBJ  := $(filter-out $O/src/cli/%,$(OBJ))
TEST_SRC := $(wildcard tests/unit/*.c tests/ops/*.c tests/net/*.c)
TESTS    := $(TEST_SRC:tests/%.c=$O/tests/%)
STUBS    := $(patsubst tests/%.c,$O/tests/%.so,$(wildcard tests/stub/*.c))
CLI_TESTS := $(wildcard tests/cli/*.sh)

ifeq ($(V),)
Q := @
SAY = @echo
else
SAY = @:
endif

all: vov ## The program, at ./vov

# A link to the newest kind that was asked for.
vov: $O/vov FORCE
	@[ "$$(readlink $@)" = $< ] || ln -sfn $< $@

lib: $O/libvov.a $O/libvov.so ## The static and the shared library

$O/vov: $O/src/main.o $O/libvovall.a
	$(SAY) "  link   $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Everything, with the command line in it: for the program and the tests.
$O/libvovall.a: $(OBJ)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# One object whose only global names are those of vov.h.
$O/libvov.a: $(LIB_OBJ)
	$(SAY) "  lib    $@"
	$(Q)$(LD) -r -o $O/libvov.o $^
	$(Q)objcopy --localize-hidden $O/libvov.o
	@rm -f $@
	$(Q)$(AR) rcs $@ $O/libvov.o

$O/libvov.so: $(LIB_OBJ)
	$(SAY) "  lib    $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -o $@ $^ $(LDLIBS)

$O/src/cpu/%.o: CFLAGS += $(KERNEL)
$O/src/det/proposal.o: CFLAGS += $(KERNEL)
# Pixels, and what is found in them, are equal bits on all machines, and on a GPU.
$O/src/data/distort.o $O/src/data/resample_%.o $O/src/det/multibox_detect.o: \
    CFLAGS += $(KERNEL) -ffp-contract=off
$O/src/data/%_avx2.o: CFLAGS += -mavx2
$O/src/cpu/%_avx2.o: CFLAGS += -mavx2 -mfma
$O/src/cpu/%_avx512.o: CFLAGS += -mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma \
                                 -mprefer-vector-width=512
# The commit that was built, in a file that changes only when that does.
$O/commit: FORCE
	@mkdir -p $(@D)
	@git describe --always --dirty 2>/dev/null >$@.new || true
	@cmp -s $@.new $@ || cp $@.new $@
$O/src/meter/machine.o: $O/commit
$O/src/meter/machine.o: CPPFLAGS += -DVOV_COMMIT='"$(shell cat $O/commit 2>/dev/null)"'
$O/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(SAY) "  cc     $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$O/tests/%: tests/%.c $O/libvovall.a
	@mkdir -p $(@D)
	$(SAY) "  test   $@"
	$(Q)$(CC) $(CPPFLAGS) -Itests $(CFLAGS) -o $@ $< $O/libvovall.a $(CHECK_LIBS) $(LDLIBS)

# The tests of kernels, of nothing but libc: for machines that the libraries are not here for.
BARE_SRC := $(filter-out src/base/json%,$(filter src/base/% src/det/% src/backend/% src/cpu/%,$(SRC)))
BARE_TESTS := $(patsubst tests/unit/%.c,$O/tests/bare/%,$(wildcard tests/unit/test_cpu_*.c))
$O/tests/bare/%: tests/unit/%.c $(BARE_SRC:%.c=$O/%.o)
	@mkdir -p $(@D)
	$(SAY) "  test   $@"
	$(Q)$(CC) $(CPPFLAGS) -Itests/bare $(CFLAGS) -o $@ $^ -lm -pthread

kernel-tests: $(BARE_TESTS)

# Libraries that stand in for those of a device.
$O/tests/stub/%.so: tests/stub/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -fvisibility=default -shared -o $@ $<

include tests/cudasim/cudasim.mk

tests: $(TESTS) $(STUBS)

objects: $O/src/main.o $(OBJ) $(TEST_SRC:%.c=$O/%.o) $(patsubst %.c,$O/%.o,$(wildcard tests/stub/*.c))
$O/tests/%.o: CPPFLAGS += -Itests

check: all $(TESTS) $(STUBS) $(CUDA_TEST_NEEDS) ## All tests
	scripts/run-tests $O $(TESTS) $(CLI_TESTS) $(CUDA_TESTS)

GRAD_TESTS := $(patsubst $O/%,build/double/%,$(filter $O/tests/ops/% $O/tests/net/test_graph \
                                                $O/tests/net/%_golden,$(TESTS)))
test-grad: ## Gradients against finite differences and another framework's, in double precision
	$(MAKE) KIND=double $(GRAD_TESTS)
	scripts/run-tests build/double $(GRAD_TESTS)

asan ubsan tsan: ## Tests with a sanitizer
	$(MAKE) KIND=$@ check; status=$$?; ln -sfn build/release/vov vov; exit $$status

demo: all ## Draws data, trains a small detector on it, evaluates it, and draws what it finds
	./vov demo

lint: ## Format, warnings of two compilers, layers, limits, and that the docs are current
	scripts/lint

format: ## Formats every source file
	$(CLANG_FORMAT) -i $$(git ls-files '*.c' '*.h' '*.cu' '*.cuh')

docs: all ## docs/cfg.md and docs/cli.md, from the tables in the program; costs in docs/paper.md
	./vov help --markdown cfg > docs/cfg.md
	./vov help --markdown cli > docs/cli.md
	scripts/paper-table

$O/vov.pc: Makefile
	@mkdir -p $(@D)
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$(INCDIR)' '' 'Name: vov' \
	    'Description: runs object detectors that a text file describes' 'Version: $(VERSION)' \
	    'Requires.private: $(PKGS)' 'Cflags: -I$${includedir}' 'Libs: -L$${libdir} -lvov' \
	    'Libs.private: -lm -pthread' > $@

install: all lib $O/vov.pc ## Program, libraries, header, configs and man pages, under PREFIX
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCDIR) \
	    $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5
	install -m 755 $O/vov $(DESTDIR)$(BINDIR)/vov
	install -m 644 $O/libvov.a $(DESTDIR)$(LIBDIR)/libvov.a
	install -m 755 $O/libvov.so $(DESTDIR)$(LIBDIR)/libvov.so.$(VERSION)
	ln -sf libvov.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libvov.so
	install -m 644 $O/vov.pc $(DESTDIR)$(LIBDIR)/pkgconfig/vov.pc
	install -m 644 src/vov.h $(DESTDIR)$(INCDIR)/vov.h
	for f in cfg/*/*.cfg; do install -D -m 644 $$f $(DESTDIR)$(DATADIR)/$$f || exit 1; done
	for page in $$($O/vov help --man-list); do \
	    $O/vov help --man $${page%.*} > $(DESTDIR)$(MANDIR)/man$${page##*.}/$$page || exit 1; \
	done

uninstall: all ## Removes what `make install` put there
	for page in $$($O/vov help --man-list); do \
	    rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$$page; done
	rm -f $(DESTDIR)$(BINDIR)/vov $(DESTDIR)$(LIBDIR)/libvov.a $(DESTDIR)$(LIBDIR)/libvov.so* \
	    $(DESTDIR)$(LIBDIR)/pkgconfig/vov.pc $(DESTDIR)$(INCDIR)/vov.h
	rm -rf $(DESTDIR)$(DATADIR)

bench-kernels: $O/tests/bench/bench_kernels $O/tests/bench/bench_basic $O/tests/bench/bench_proposals ## Speed of the innermost loops on layers of our nets
	$< 1
	$< 1 8
	$< 2 8
	$O/tests/bench/bench_basic 1
	$O/tests/bench/bench_basic 1 8
	$O/tests/bench/bench_basic 2 8
	$O/tests/bench/bench_proposals

clean: ## Removes what was built
	rm -rf build vov

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+[a-z -]*:.*## /{printf "  %-16s %s\n", $$1, $$2}' \
	    $(firstword $(filter %akefile,$(MAKEFILE_LIST)))

include cuda/cuda.mk

FORCE:
.PHONY: bench-kernels kernel-tests all lib tests objects check test-grad asan ubsan tsan demo lint format docs install \
        uninstall clean help FORCE
.DELETE_ON_ERROR:
-include $(OBJ:.o=.d) $O/src/main.d $(TESTS:=.d) $(BARE_TESTS:=.d)
