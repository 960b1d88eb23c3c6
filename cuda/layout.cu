/*
 * layout.cu - host numbers, dense and in NCHW order, to and from views, and whether a view's
 * numbers are finite. Numbers cross through a stage (memory.c): a copy of theirs in NCHW order on
 * the device, which a kernel sorts into NHWC rows or out of them.
 */
#include "kernel.cuh"

#include <string.h>

/* Numbers first .. first + n - 1 of a view in NCHW order; dense[0] is the first of them. */
template <class T> struct nchw_run {
    mat<T> m;
    float *dense;
    size_t first;
    int n;
};

template <class T> __device__ static T *place(const nchw_run<T> &r, int i)
{
    const size_t at = r.first + i, image = at / ((size_t)r.m.plane * r.m.c);
    const int in_image = (int)(at % ((size_t)r.m.plane * r.m.c));
    const int col = in_image / r.m.plane, pixel = in_image % r.m.plane;

    return r.m.p + (image * r.m.plane + pixel) * r.m.step + col;
}

template <class T> __global__ void scatter_kernel(nchw_run<T> r)
{
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < r.n; i += gridDim.x * THREADS) {
        *place(r, i) = (T)r.dense[i];
    }
}

template <class T> __global__ void gather_kernel(nchw_run<T> r)
{
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < r.n; i += gridDim.x * THREADS) {
        r.dense[i] = (float)*place(r, i);
    }
}

static size_t view_count(struct view v)
{
    return (size_t)v.n * v.c * view_plane(v);
}

static int run_grid(const struct cuda *cu, int n)
{
    return smaller(div_up(n, THREADS), cu->multiprocessors * 16LL);
}

static void cuda_write(struct backend *be, struct view y, const real *host)
{
    struct cuda *cu = cuda_of(be);
    const size_t count = view_count(y);

    for (size_t first = 0; first < count && mat_fits(cu, y);) {
        const int n = smaller(count - first, STAGE_MOST);
        struct cuda_stage *s = cuda_write_begin(cu, host + first, n * sizeof *host);
        if (s == NULL) {
            return;
        }
        cuda_write_wait(cu, s);
        BY_TYPE(y, const nchw_run<T> r = {mat_of<T>(y), (float *)s->device, first, n};
                LAUNCH(cu, run_grid(cu, n), THREADS, scatter_kernel<T>, r));
        cuda_write_end(cu, s);
        first += n;
    }
}

/* Writes in one go when the numbers are on their way, else from the host now. */
static void cuda_write_staged(struct backend *be, struct view y, const struct staged *staged)
{
    struct cuda *cu = cuda_of(be);
    struct cuda_stage *s = (struct cuda_stage *)staged->on_way;

    if (s == NULL) {
        cuda_write(be, y, (const real *)staged->host);
    } else if (mat_fits(cu, y)) {
        const int n = (int)view_count(y);
        BY_TYPE(y, const nchw_run<T> r = {mat_of<T>(y), (float *)s->device, 0, n};
                cuda_write_wait(cu, s); LAUNCH(cu, run_grid(cu, n), THREADS, scatter_kernel<T>, r));
        cuda_write_end(cu, s);
    }
}

static struct staged cuda_stage(struct backend *be, const real *host, size_t count)
{
    const bool fits = count <= STAGE_MOST;

    return {host, fits ? cuda_write_begin(cuda_of(be), host, count * sizeof *host) : NULL};
}

static void cuda_read(struct backend *be, struct view x, real *host)
{
    struct cuda *cu = cuda_of(be);
    const size_t count = view_count(x);

    for (size_t first = 0; first < count && mat_fits(cu, x);) {
        const int n = smaller(count - first, STAGE_MOST);
        struct cuda_stage *s = cuda_read_begin(cu, n * sizeof *host);
        if (s == NULL) {
            memset(host + first, 0, (count - first) * sizeof *host);
            return;
        }
        BY_TYPE(x, const nchw_run<T> r = {mat_of<T>(x), (float *)s->device, first, n};
                LAUNCH(cu, run_grid(cu, n), THREADS, gather_kernel<T>, r));
        cuda_read_end(cu, s, host + first, n * sizeof *host);
        first += n;
    }
}

template <class T> struct find_nonfinite {
    mat<T> x;
    float *found;

    template <int V> __device__ void at(int row, int col) const
    {
        const pack<V> v = load<V>(x, row, col);
        for (int i = 0; i < V; i++) {
            if (!isfinite(v.v[i])) {
                atomicExch(found, 1);
            }
        }
    }
};

static bool cuda_finite(struct backend *be, const struct view *x, int n)
{
    struct cuda *cu = cuda_of(be);
    float found = 0;

    be->ops->block_fill(be, 1, cu->result, 0);
    for (int i = 0; i < n && mat_fits(cu, x[i]); i++) {
        BY_TYPE(x[i], const auto m = mat_of<T>(x[i]);
                each(cu, m.rows, m.c, packs(x[i]), find_nonfinite<T>{m, cu->result}));
    }
    be->ops->read(be, view_dense(cu->result, (struct shape){1, 1, 1, 1}), &found);
    return found == 0;
}

void cuda_layout_entries(struct backend_ops *ops)
{
    ops->write = cuda_write;
    ops->read = cuda_read;
    ops->stage = cuda_stage;
    ops->write_staged = cuda_write_staged;
    ops->finite = cuda_finite;
}
