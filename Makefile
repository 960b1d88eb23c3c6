# Builds vov, its library and its tests. `make help` lists the targets. A file config.mk, which git
# ignores, may set any variable below.
-include config.mk

VERSION := 0.1.0
SONAME  := libvov.so.0
PREFIX  ?= /usr/local
ifeq ($(origin CC),default)
CC      := gcc
endif
KIND    ?= release

O := build/$(KIND)
PKGS := libpng libturbojpeg libcjson openblas
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
        -Wwrite-strings -Wcast-qual -Wdouble-promotion -Wvla -Wformat=2
OPT_release := -O2 -g
OPT_double  := -O2 -g -DVOV_REAL=double -Wno-double-promotion
OPT_asan    := -O1 -g -fsanitize=address -fno-omit-frame-pointer
OPT_ubsan   := -O1 -g -fsanitize=undefined -fno-sanitize-recover=all
OPT_tsan    := -O1 -g -fsanitize=thread
# Kernels: sums may be reordered and vectorised; NaN and infinity stay what they are.
KERNEL := -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast

CPPFLAGS += -Isrc -D_GNU_SOURCE -DVOV_VERSION='"$(VERSION)"' -MMD -MP
CFLAGS   += -std=c17 -fPIC -fvisibility=hidden -pthread $(WARN) $(OPT_$(KIND)) \
            $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDLIBS   += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm -pthread

SRC      := $(filter-out src/main.c,$(wildcard src/*.c src/*/*.c))
OBJ      := $(SRC:%.c=$O/%.o)
LIB_OBJ  := $(filter-out $O/src/cli/%,$(OBJ))
TEST_SRC := $(wildcard tests/unit/*.c tests/ops/*.c tests/net/*.c)
TESTS    := $(TEST_SRC:tests/%.c=$O/tests/%)
CLI_TESTS := $(wildcard tests/cli/*.sh)

all: vov ## The program, at ./vov

vov: $O/vov
	@ln -sf $< $@

lib: $O/libvov.a $O/libvov.so ## The static and the shared library

$O/vov: $O/src/main.o $O/libvovall.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Everything, with the command line in it: for the program and the tests.
$O/libvovall.a: $(OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$O/libvov.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$O/libvov.so: $(LIB_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -o $@ $^ $(LDLIBS)

$O/src/cpu/%.o: CFLAGS += $(KERNEL)
$O/src/cpu/%_avx2.o: CFLAGS += -mavx2 -mfma
$O/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$O/tests/%: tests/%.c $O/libvovall.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests $(CFLAGS) -o $@ $< $O/libvovall.a \
		$(shell pkg-config --cflags --libs check) $(LDLIBS)

tests: $(TESTS)

check: all $(TESTS) ## All tests
	scripts/run-tests $O $(TESTS) $(CLI_TESTS)

test-grad: ## Gradients against finite differences, in double precision
	$(MAKE) KIND=double tests
	scripts/run-tests build/double $(patsubst $O/%,build/double/%,$(filter $O/tests/ops/%,$(TESTS)))

asan ubsan tsan: ## Tests with a sanitizer
	$(MAKE) KIND=$@ check

clean: ## Remove what was built
	rm -rf build vov

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+[a-z -]*:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: all lib tests check test-grad asan ubsan tsan clean help
-include $(OBJ:.o=.d) $O/src/main.d $(TESTS:=.d)
