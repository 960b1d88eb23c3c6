# The CUDA backend: `make CUDA=1` builds $O/libvov_cuda.so, which the program opens when it is asked
# for a GPU. CUDA_ARCHS='80' makes a shorter build for development.
CUDA_HOME  ?= /usr/local/cuda
CUDA_ARCHS ?= 75 80 86 87 88 89 90 100 103 110 120 121
NVCC       ?= $(CUDA_HOME)/bin/nvcc

CUDA_CU  := $(wildcard cuda/*.cu)
CUDA_C   := $(wildcard cuda/*.c)
CUDA_OBJ := $(CUDA_CU:%.cu=$O/%.cu.o) $(CUDA_C:%.c=$O/%.o)
# The program's own, again: the library must not need the program's symbols.
CUDA_BASE := $(addprefix $O/src/base/,err.o mem.o)
# Code for each architecture, and PTX of the first for those to come. Not compressed, as the
# simulator of tests/cudasim reads it.
CUDA_GENCODE = $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$a,code=sm_$a) \
               -gencode arch=compute_$(firstword $(CUDA_ARCHS)),code=compute_$(firstword $(CUDA_ARCHS))
# What ptxas says of each kernel is kept beside the object, for scripts/check-ptxas.
NVCCFLAGS = -std=c++17 -O3 -lineinfo --no-compress -t0 $(CUDA_GENCODE) -Isrc -D_GNU_SOURCE \
            -Werror all-warnings,default-stream-launch -Xptxas -v,-warn-double-usage \
            -Xcompiler -Wall,-Wextra,-fPIC,-fvisibility=hidden,-g

ifneq ($(CUDA),)
all: $O/libvov_cuda.so
endif

$O/libvov_cuda.so: $(CUDA_OBJ) $(CUDA_BASE)
	$(SAY) "  link   $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,--no-undefined -o $@ $^ \
	    -L$(CUDA_HOME)/lib64 -lcudart -lcublas -lcudnn -lstdc++ -lm -Wl,-rpath,$(CUDA_HOME)/lib64

$O/cuda/%.cu.o: cuda/%.cu cuda/cuda.mk
	@mkdir -p $(@D)
	$(SAY) "  nvcc   $<"
	$(Q)$(NVCC) $(NVCCFLAGS) -MD -MP -MF $(@:.o=.d) -c -o $@ $< 2>$@.ptxas || \
	    { grep -v '^ptxas info' $@.ptxas; rm -f $@; exit 1; }

$(CUDA_C:%.c=$O/%.o): CPPFLAGS += -isystem $(CUDA_HOME)/include -DCUDNN_WARN_DEPRECATED

-include $(CUDA_OBJ:.o=.d)
