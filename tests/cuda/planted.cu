/*
 * planted.cu - kernels that scripts/check-ptxas must not let pass, each in one way, and one that it
 * must: see ptxas.sh.
 */
__global__ void good(float *x)
{
    x[threadIdx.x] *= 0.1f;
}

__global__ void in_double(float *x)
{
    x[threadIdx.x] *= 0.1;
}

/* An array that is indexed by what is known at run time only. */
__global__ void in_local_memory(float *x, int at)
{
    float a[32] = {0};
    for (int i = 0; i < 32; i++) {
        a[(at * i) & 31] += x[i];
    }
    x[threadIdx.x] = a[at & 31];
}

/* 48 numbers at once in 32 registers. */
__global__ void __launch_bounds__(1024, 2) spills(float *x)
{
    float a[48];
#pragma unroll
    for (int i = 0; i < 48; i++) {
        a[i] = x[i * 1024 + threadIdx.x];
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 48; i++) {
        x[i * 1024 + threadIdx.x] = a[i] * a[(i + 1) % 48];
    }
}

/* The same, in as many registers as it likes. */
template <class T> struct reversed {
    T *x;
};
template <class F> __global__ void frame(F f)
{
    float a[48];
#pragma unroll
    for (int i = 0; i < 48; i++) {
        a[i] = f.x[i * 1024 + threadIdx.x];
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 48; i++) {
        f.x[i * 1024 + threadIdx.x] = a[i] * a[(i + 1) % 48];
    }
}
template __global__ void frame(reversed<float>);
