# The simulated GPU and its tests. $O/cusim holds it under the names of the CUDA libraries: a program
# or a plug-in that is linked to the real ones runs on it with LD_LIBRARY_PATH=$O/cusim.
CUDA_HOME ?= /usr/local/cuda
NVCC      ?= $(CUDA_HOME)/bin/nvcc
# What the tests' PTX is made for. The simulator knows what nvcc makes for 75 to 121.
CUSIM_ARCH ?= 80

CUSIM_OBJ  := $(patsubst %.c,$O/%.o,$(wildcard tests/cudasim/*.c))
CUSIM_LIB  := $O/cusim/libcusim.so
CUSIM_SO   := $(addprefix $O/cusim/,libcudart.so.13 libcudnn.so.9 libcublas.so.13)
CUSIM_TEST := $(patsubst %.cu,$O/%,$(wildcard tests/cudasim/test_*.cu))
CUSIM_BUGS := $(patsubst %.cu,$O/%,$(wildcard tests/cudasim/bugs/*.cu))

# The lint compiles it too.
objects: $(if $(wildcard $(CUDA_HOME)/include/cudnn.h),$(CUSIM_OBJ))

ifneq ($(wildcard $(NVCC)),)
CUDA_TESTS = $(CUSIM_TEST) $(wildcard tests/cudasim/*.sh tests/cuda/*.sh)
CUDA_TEST_NEEDS = $O/vov $(CUSIM_SO) $(CUSIM_PLUGIN) $(CUSIM_TEST) $(CUSIM_BUGS) $(CUSIM_RANGES) \
                  $(filter $O/tests/ops/% $O/tests/net/test_device%,$(TESTS)) \
                  $(if $(wildcard $(CUDA_HOME)/lib64/libcudnn.so),$O/tests/cudasim/real_library \
                    $O/tests/cuda/plans)
# For all architectures, which takes minutes: not for `make check`.
CUDA_TEST_ALL = $(patsubst %.cu,$O/%.cu.o,$(wildcard cuda/*.cu))
check-cuda: $(if $(wildcard $(CUDA_HOME)/lib64/libcudnn.so),$O/libvov_cuda.so)
endif

# Sums are not joined to fused ones: the PTX says which are.
$(CUSIM_OBJ): CPPFLAGS += -isystem $(CUDA_HOME)/include
$(CUSIM_OBJ): CFLAGS += -O3 -march=native -ffp-contract=off -fvisibility=default

$(CUSIM_LIB): $(CUSIM_OBJ) tests/cudasim/exports.map
	@mkdir -p $(@D)
	$(SAY) "  link   $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,libcudart.so.13 \
	    -Wl,--version-script=tests/cudasim/exports.map -o $@ $(CUSIM_OBJ) -lm -pthread

$(CUSIM_SO): $(CUSIM_LIB)
	@ln -sf $(<F) $@

$O/tests/cudasim/%.o: tests/cudasim/%.cu tests/cudasim/cudasim.mk
	@mkdir -p $(@D)
	$(SAY) "  nvcc   $<"
	$(Q)$(NVCC) -std=c++17 -O2 -g --no-compress -Itests/cudasim -lineinfo -MD -MP \
	    -gencode arch=compute_$(CUSIM_ARCH),code=compute_$(CUSIM_ARCH) \
	    -Werror all-warnings -Xcompiler -Wall,-Wextra,-fPIC,-fno-optimize-sibling-calls -c -o $@ $<

$(CUSIM_TEST) $(CUSIM_BUGS): %: %.o $(CUSIM_SO)
	$(SAY) "  link   $@"
	$(Q)$(CC) $(CFLAGS) -o $@ $< $(CUSIM_SO) -Wl,-rpath,$(abspath $O/cusim) -lstdc++ -lm

# The plug-in for the tests, linked to the simulator, which reads the PTX. Code for one architecture
# is there for what ptxas says of it.
CUSIM_PLUGIN := $O/cusim/libvov_cuda.so
CUSIM_CU     := $(patsubst %.cu,$O/cusim/%.o,$(wildcard cuda/*.cu))
$(CUSIM_CU): $O/cusim/%.o: %.cu tests/cudasim/cudasim.mk
	@mkdir -p $(@D)
	$(SAY) "  nvcc   $< (for the simulator)"
	$(Q)$(NVCC) -std=c++17 -O3 -g -lineinfo --no-compress -Isrc -D_GNU_SOURCE -MD -MP \
	    -gencode arch=compute_$(CUSIM_ARCH),code=[compute_$(CUSIM_ARCH),sm_$(CUSIM_ARCH)] \
	    -Werror all-warnings,default-stream-launch -Xptxas -v,-warn-double-usage \
	    -Xcompiler -Wall,-Wextra,-fPIC,-fvisibility=hidden -c -o $@ $< 2>$(@:.o=.ptxas) || \
	    { grep -v '^ptxas info' $(@:.o=.ptxas); rm -f $@; exit 1; }

$(CUSIM_PLUGIN): $(CUSIM_CU) $(patsubst %.c,$O/%.o,$(wildcard cuda/*.c)) \
                 $O/src/base/err.o $O/src/base/mem.o $(CUSIM_SO)
	$(SAY) "  link   $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,--no-undefined -o $@ $(filter %.o,$^) $(CUSIM_SO) \
	    -lstdc++ -lm -Wl,-rpath,'$$ORIGIN'

# Takes a profiler's place.
CUSIM_RANGES := $O/cusim/libranges.so
$(CUSIM_RANGES): tests/cuda/ranges.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -isystem $(CUDA_HOME)/include $(CFLAGS) -fvisibility=default -shared -o $@ $<

# Linked as the production plug-in is.
$O/tests/cudasim/real_library: $O/tests/cudasim/test_library.o
	$(SAY) "  link   $@"
	$(Q)$(CC) $(CFLAGS) -o $@ $< -L$(CUDA_HOME)/lib64 -lcudart -lcudnn -lcublas \
	    -Wl,-rpath,$(CUDA_HOME)/lib64 -lstdc++ -lm

# Convolutions put to the real cuDNN, with a driver that has no device.
$O/tests/cuda/libcuda.so.1: tests/cuda/driver.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -fvisibility=default -shared -Wl,-soname,$(@F) -o $@ $<

$O/tests/cuda/plans: tests/cuda/plans.c tests/cuda/gpus.h $O/cuda/conv_plan.o $O/cuda/conv_recipe.o \
                     $O/libvovall.a $O/tests/cuda/libcuda.so.1
	$(SAY) "  test   $@"
	$(Q)$(CC) $(CPPFLAGS) -I. -isystem $(CUDA_HOME)/include $(CFLAGS) -o $@ $(filter %.c %.o %.a %.so.1,$^) \
	    -L$(CUDA_HOME)/lib64 -lcudnn -Wl,-rpath,'$$ORIGIN':$(CUDA_HOME)/lib64 $(LDLIBS)

# All but a T4, which has no bf16: there cuDNN refuses each.
CUDA_BF16 := a100 rtx3090 rtx4090 rtx5090 h100 b200
check-cuda-plans: $O/tests/cuda/plans ## Every convolution of every config put to the real cuDNN
	$< -s net.precision=fp32 cfg/*/*.cfg cfg/demo.cfg
	$< -s net.precision=fp16 cfg/*/*.cfg cfg/demo.cfg
	$< -s net.precision=bf16 $(CUDA_BF16:%=-g %) cfg/*/*.cfg cfg/demo.cfg

check-cuda: $(CUDA_TEST_NEEDS) $(CUDA_TEST_ALL) ## The CUDA backend on the simulated GPU; skipped without nvcc
ifneq ($(wildcard $(NVCC)),)
	scripts/run-tests $O $(CUDA_TESTS)
else
	@echo "skip  check-cuda: no nvcc at $(NVCC)"
endif

# The registers that kernels may use, as many as they do.
ptxas-limits: $(CUDA_TEST_ALL)
	scripts/check-ptxas --write tests/cuda/registers.txt $(addsuffix .ptxas,$(CUDA_TEST_ALL))

.PHONY: check-cuda check-cuda-plans ptxas-limits
-include $O/tests/cuda/plans.d $(CUSIM_OBJ:.o=.d) $(CUSIM_CU:.o=.d) $(CUSIM_TEST:=.d) $(CUSIM_BUGS:=.d)
