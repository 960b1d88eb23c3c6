/*
 * Convolutions by cuDNN's graph API and products by cuBLAS, as the simulator does them, against
 * plain loops: all passes, layouts and slices, on every engine that the heuristics name.
 */
#include "case.cuh"
#include "graph.cuh"

#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

/* Where element (n, c, h, w) of a slice of a buffer with `channels` is. */
static size_t place(bool nhwc, int channels, const int dim[4], int n, int c, int h, int w)
{
    (void)dim[0];
    return nhwc ? (((size_t)n * dim[2] + h) * dim[3] + w) * channels + c
                : (((size_t)n * channels + c) * dim[2] + h) * dim[3] + w;
}

/* The sums of a pass in double precision, in the output's places. */
static std::vector<double> sums(const conv_case &c, const std::vector<float> &x,
                                const std::vector<float> &w, const std::vector<float> &y)
{
    const int xd[4] = {c.n, c.c, c.h, c.w}, yd[4] = {c.n, c.k, c.oh(), c.ow()};
    const int cg = c.c / c.groups, kg = c.k / c.groups, wd[4] = {c.k, cg, c.r, c.r};
    const size_t sizes[] = {y.size(), x.size(), w.size()};
    std::vector<double> out(sizes[c.pass], 0.0);
    for (int n = 0; n < c.n; n++) {
        for (int k = 0; k < c.k; k++) {
            for (int i = 0; i < yd[2] * yd[3]; i++) {
                for (int j = 0; j < cg * c.r * c.r; j++) {
                    const int oy = i / yd[3], ox = i % yd[3], s = j % c.r, r = j / c.r % c.r;
                    const int ci = j / c.r / c.r, iy = oy * c.stride - c.pad + r * c.dilation;
                    const int ix = ox * c.stride - c.pad + s * c.dilation;
                    if (iy < 0 || iy >= c.h || ix < 0 || ix >= c.w) {
                        continue;
                    }
                    const size_t xi = place(c.nhwc, c.x_channels, xd, n, k / kg * cg + ci, iy, ix);
                    const size_t wi = place(c.nhwc, cg, wd, k, ci, r, s);
                    const size_t yi = place(c.nhwc, c.y_channels, yd, n, k, oy, ox);
                    if (c.pass == PASS_FORWARD) {
                        out[yi] += (double)x[xi] * w[wi];
                    } else if (c.pass == PASS_DATA) {
                        out[xi] += (double)y[yi] * w[wi];
                    } else {
                        out[wi] += (double)x[xi] * y[yi];
                    }
                }
            }
        }
    }
    return out;
}

static double activated(const conv_case &c, double v)
{
    switch (c.act) {
    case CUDNN_POINTWISE_RELU_FWD:
        return v > 0 ? v : c.slope * v;
    case CUDNN_POINTWISE_SIGMOID_FWD:
        return 1 / (1 + exp(-v));
    case CUDNN_POINTWISE_SWISH_FWD:
        return v / (1 + exp(-v));
    default:
        return v;
    }
}

/* What is in the output where the tensor has no element: it must stay. */
#define GAP 77.0f

static std::vector<float> random_values(size_t n, unsigned seed)
{
    std::vector<float> v(n);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        v[i] = (float)(seed >> 8) / (1 << 23) - 1;
    }
    return v;
}

template <class T> static void put(array<T> &a, const std::vector<float> &v)
{
    for (size_t i = 0; i < v.size(); i++) {
        a[i] = T(v[i]);
    }
}

/* Runs a case on an engine and compares all of the output's buffer. */
template <class T>
static void run(const conv_case &c, cudnnHandle_t handle, conv_graph &g, double tolerance)
{
    const size_t xn = (size_t)c.n * c.h * c.w * c.x_channels;
    const size_t yn = (size_t)c.n * c.oh() * c.ow() * c.y_channels;
    const size_t wn = (size_t)c.k * (c.c / c.groups) * c.r * c.r;
    std::vector<float> values[3] = {random_values(yn, 1), random_values(xn, 2),
                                    random_values(wn, 3)};
    const std::vector<float> bias = random_values(c.k, 4);
    array<T> x(xn), y(yn), w(wn), b(c.k);
    array<char> work(g.workspace + 1);
    array<T> *const arrays[3] = {&y, &x, &w};
    std::vector<float> old = values[c.pass];
    for (float &v : old) {
        v = GAP;
    }
    for (int i = 0; i < 3; i++) {
        put(*arrays[i], i == c.pass ? old : values[i]);
        arrays[i]->up();
        for (size_t k = 0; k < values[i].size(); k++) {
            values[i][k] = (float)(*arrays[i])[k]; /* as rounded to T */
        }
    }
    put(b, bias);
    std::vector<int64_t> uids = {UID_X, UID_W, UID_Y};
    std::vector<void *> pointers = {x.device, w.device, y.device};
    if (c.bias) {
        uids.push_back(UID_BIAS);
        pointers.push_back(b.up());
    }
    const cudnnBackendDescriptor_t pack = g.pack(uids, pointers, work.device);
    check("pack", 0, g.status, 0, 0);
    check("execute", 0, cudnnBackendExecute(handle, g.plan, pack), 0, 0);
    arrays[c.pass]->down();

    const std::vector<double> wanted = sums(c, values[1], values[2], values[0]);
    const int channels = c.pass == PASS_FORWARD ? c.y_channels : c.x_channels;
    const int used = c.pass == PASS_FORWARD ? c.k : c.c;
    const int plane = c.pass == PASS_FORWARD ? c.oh() * c.ow() : c.h * c.w;
    for (size_t i = 0; i < wanted.size(); i++) {
        const int channel = (int)(c.nhwc ? i % channels : i / plane % channels);
        const bool gap = c.pass != PASS_FILTER && channel >= used;
        double v = c.alpha * wanted[i] + c.beta * GAP;
        v = activated(c, v + (c.bias ? (double)(float)b[channel < c.k ? channel : 0] : 0));
        check("convolution", i, (float)(*arrays[c.pass])[i], gap ? GAP : v, gap ? 0 : tolerance);
    }
}

/* On every engine; those with tensor cores round what they read. */
template <class T> static void test_case(const conv_case &c, cudnnHandle_t handle, double tolerance)
{
    int engines = 0;
    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
        conv_graph g;
        g.describe(c);
        for (const cudnnBackendDescriptor_t config : g.ask(mode)) {
            check("describe", 0, g.status, 0, 0);
            g.build(config);
            const bool tensor_core = g.engine == 4 || g.engine == 5;
            if (c.groups > 1 && tensor_core) {
                check("groups", 0, g.status, CUDNN_STATUS_NOT_SUPPORTED, 0);
                g.status = CUDNN_STATUS_SUCCESS;
                continue;
            }
            run<T>(c, handle, g, tensor_core ? fmax(4e-3, tolerance) : tolerance);
            engines++;
        }
    }
    check("engines", 0, engines, c.groups > 1 ? 3 : 5, 0);
}

/* A graph that can be described and that no engine runs. */
static void test_refused(const char *what, const conv_case &c)
{
    int engines = 0;
    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
        conv_graph g;
        g.describe(c);
        for (const cudnnBackendDescriptor_t config : g.ask(mode)) {
            check(what, 0, g.status, 0, 0);
            g.build(config);
            check(what, 1, g.status, CUDNN_STATUS_NOT_SUPPORTED, 0);
            g.status = CUDNN_STATUS_SUCCESS;
            engines++;
        }
    }
    check(what, 2, engines, 5, 0);
}

/* Tensors of two types, of any pass, and a type that the device does not have. */
static void test_types(const conv_case &plain, cudnnHandle_t handle)
{
    conv_case c = plain;
    c.type = CUDNN_DATA_HALF;
    for (int pass = PASS_FORWARD; pass <= PASS_FILTER; pass++) {
        c.pass = pass;
        for (const int odd : {UID_X, UID_W, UID_Y}) {
            c.odd = odd;
            test_refused("two types", c);
        }
    }
    c.pass = PASS_FORWARD;
    c.bias = true;
    c.odd = UID_BIAS;
    test_refused("two types", c);
    c.odd = 0;
    test_case<__half>(c, handle, 2e-3);

    int major = 0;
    CALL(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
    c.type = CUDNN_DATA_BFLOAT16;
    if (major < 8) {
        test_refused("bf16", c);
    } else {
        test_case<__nv_bfloat16>(c, handle, 1.6e-2);
    }
}

static void test_convolutions(void)
{
    cudnnHandle_t handle;
    check("cudnnCreate", 0, cudnnCreate(&handle), 0, 0);
    const conv_case plain = {.pass = PASS_FORWARD,
                             .n = 2,
                             .c = 5,
                             .h = 7,
                             .w = 6,
                             .k = 4,
                             .r = 3,
                             .stride = 1,
                             .pad = 1,
                             .dilation = 1,
                             .groups = 1,
                             .type = CUDNN_DATA_FLOAT,
                             .nhwc = true,
                             .x_channels = 5,
                             .y_channels = 4,
                             .bias = false,
                             .act = -1,
                             .slope = 0,
                             .alpha = 1,
                             .beta = 0};
    for (int pass = PASS_FORWARD; pass <= PASS_FILTER; pass++) {
        conv_case c = plain;
        c.pass = pass;
        test_case<float>(c, handle, 2e-6);
        c.nhwc = false;
        test_case<float>(c, handle, 2e-6);
        c.x_channels = 8;
        c.y_channels = 7;
        test_case<float>(c, handle, 2e-6);
        c.nhwc = true;
        c.stride = 2;
        test_case<float>(c, handle, 2e-6);
        c.stride = 1;
        c.dilation = c.pad = 2;
        c.alpha = 0.5f;
        c.beta = 0.25f;
        test_case<float>(c, handle, 2e-6);
        c = plain;
        c.pass = pass;
        c.c = c.x_channels = c.k = c.y_channels = 6;
        c.groups = 3;
        test_case<float>(c, handle, 2e-6);
        c.groups = 6;
        test_case<float>(c, handle, 2e-6);
        c = plain;
        c.pass = pass;
        c.type = CUDNN_DATA_HALF;
        test_case<__half>(c, handle, 2e-3);
    }
    conv_case c = plain;
    c.bias = true;
    test_case<float>(c, handle, 2e-6);
    for (const int act :
         {CUDNN_POINTWISE_RELU_FWD, CUDNN_POINTWISE_SIGMOID_FWD, CUDNN_POINTWISE_SWISH_FWD}) {
        c.act = act;
        c.slope = act == CUDNN_POINTWISE_RELU_FWD ? 0.1 : 0;
        c.y_channels = 9;
        test_case<float>(c, handle, 2e-6);
    }
    test_types(plain, handle);
    check("cudnnDestroy", 0, cudnnDestroy(handle), 0, 0);
}

static void test_product(cublasHandle_t handle, bool ta, bool tb, int batch, float beta)
{
    const int m = 5, n = 7, k = 6, lda = 9, ldb = 8, ldc = 6;
    const size_t as = (size_t)lda * (ta ? m : k), bs = (size_t)ldb * (tb ? k : n),
                 cs = (size_t)ldc * n;
    array<float> a(as * batch), b(bs * batch), c(cs * batch, GAP);
    const float alpha = 1.5f;
    a.host = random_values(as * batch, 5);
    b.host = random_values(bs * batch, 6);
    a.up();
    b.up();
    c.up();
    const cublasOperation_t oa = ta ? CUBLAS_OP_T : CUBLAS_OP_N,
                            ob = tb ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasStatus_t status =
        batch == 1 ? cublasSgemm(handle, oa, ob, m, n, k, &alpha, a.device, lda, b.device, ldb,
                                 &beta, c.device, ldc)
                   : cublasSgemmStridedBatched(handle, oa, ob, m, n, k, &alpha, a.device, lda, as,
                                               b.device, ldb, bs, &beta, c.device, ldc, cs, batch);
    check("cublasSgemm", 0, status, 0, 0);
    c.down();
    for (size_t i = 0; i < cs * batch; i++) {
        const size_t q = i / cs, col = i % cs / ldc, row = i % ldc;
        double sum = 0;
        for (int l = 0; l < k && row < (size_t)m; l++) {
            const float u = a[q * as + (ta ? row * lda + l : (size_t)l * lda + row)];
            const float v = b[q * bs + (tb ? (size_t)l * ldb + col : col * ldb + l)];
            sum += (double)u * v;
        }
        const double wanted = row < (size_t)m ? alpha * sum + (beta != 0 ? beta * GAP : 0) : GAP;
        check("product", i, c[i], wanted, 1e-6);
    }
}

static void test_products(void)
{
    cublasHandle_t handle;
    check("cublasCreate", 0, cublasCreate(&handle), 0, 0);
    for (int i = 0; i < 8; i++) {
        test_product(handle, i & 1, i & 2, i & 4 ? 3 : 1, i & 1 ? 0 : 0.5f);
    }
    check("cublasDestroy", 0, cublasDestroy(handle), 0, 0);
}

int main()
{
    test_convolutions();
    test_products();
    return failures != 0;
}
