/*
 * graph.cuh - convolutions by cuDNN's graph API for the tests of the simulator: descriptors made,
 * set and finalised one by one, as a program does.
 */
#ifndef VOV_TESTS_CUDASIM_GRAPH_CUH
#define VOV_TESTS_CUDASIM_GRAPH_CUH

#include <cstdio>
#include <cstdlib>
#include <cudnn_graph.h>
#include <vector>

enum { PASS_FORWARD, PASS_DATA, PASS_FILTER };
enum { UID_X = 1, UID_W, UID_Y, UID_BIAS, UID_BETWEEN };

struct conv_case {
    int pass, n, c, h, w, k, r, stride, pad, dilation, groups;
    cudnnDataType_t type;
    bool nhwc;
    int x_channels, y_channels; /* of the buffers that x and y are slices of */
    bool bias;
    int act; /* a cudnnPointwiseMode_t; -1: none */
    double slope;
    float alpha, beta;
    int odd = 0; /* the tensor (UID_) that is of floats, whatever the type of the others; 0: none */

    int oh() const
    {
        return (h + 2 * pad - dilation * (r - 1) - 1) / stride + 1;
    }
    int ow() const
    {
        return (w + 2 * pad - dilation * (r - 1) - 1) / stride + 1;
    }
};

struct conv_graph {
    std::vector<cudnnBackendDescriptor_t> all;
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    cudnnBackendDescriptor_t graph = nullptr, plan = nullptr;
    int64_t workspace = 0, engine = -1;

    ~conv_graph()
    {
        drop();
    }
    void drop()
    {
        while (!all.empty()) {
            cudnnBackendDestroyDescriptor(all.back());
            all.pop_back();
        }
    }
    cudnnBackendDescriptor_t make(cudnnBackendDescriptorType_t type)
    {
        cudnnBackendDescriptor_t d = nullptr;
        keep(cudnnBackendCreateDescriptor(type, &d));
        all.push_back(d);
        return d;
    }
    void keep(cudnnStatus_t s)
    {
        status = status == CUDNN_STATUS_SUCCESS ? s : status;
    }
    void set(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
             cudnnBackendAttributeType_t type, int64_t n, const void *value)
    {
        keep(cudnnBackendSetAttribute(d, name, type, n, value));
    }
    cudnnBackendDescriptor_t tensor(int64_t uid, cudnnDataType_t type, bool nhwc,
                                    std::vector<int64_t> dim, int64_t channels)
    {
        const int64_t h = dim[2], w = dim[3], align = 4;
        const std::vector<int64_t> stride =
            nhwc ? std::vector<int64_t>{h * w * channels, 1, w * channels, channels}
                 : std::vector<int64_t>{h * w * channels, h * w, w, 1};
        const bool between = uid >= UID_BETWEEN;
        const cudnnBackendDescriptor_t d = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
        set(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
        set(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
        set(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &align);
        set(d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dim.data());
        set(d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, stride.data());
        set(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &between);
        keep(cudnnBackendFinalize(d));
        return d;
    }
    cudnnBackendDescriptor_t convolution(const conv_case &c)
    {
        const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
        const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
        const int64_t axes = 2, pad[2] = {c.pad, c.pad}, stride[2] = {c.stride, c.stride},
                      dilation[2] = {c.dilation, c.dilation};
        const cudnnBackendDescriptor_t d = make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
        set(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums);
        set(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
        set(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &axes);
        set(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pad);
        set(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, pad);
        set(d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilation);
        set(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride);
        keep(cudnnBackendFinalize(d));
        return d;
    }
    /* Not finalised yet. */
    cudnnBackendDescriptor_t pointwise(cudnnPointwiseMode_t mode, double slope,
                                       cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t b,
                                       cudnnBackendDescriptor_t y)
    {
        const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
        const cudnnBackendDescriptor_t f = make(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
        set(f, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
        set(f, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &sums);
        set(f, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE, 1, &slope);
        keep(cudnnBackendFinalize(f));
        const cudnnBackendDescriptor_t o = make(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
        set(o, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &f);
        set(o, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x);
        if (b) {
            set(o, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &b);
        }
        set(o, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y);
        return o;
    }
    cudnnBackendDescriptor_t operation(const conv_case &c, cudnnBackendDescriptor_t x,
                                       cudnnBackendDescriptor_t w, cudnnBackendDescriptor_t y)
    {
        static const struct {
            cudnnBackendDescriptorType_t type;
            cudnnBackendAttributeName_t conv, x, w, y, alpha, beta;
        } names[] = {{CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
                     {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
                     {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};
        const cudnnBackendDescriptor_t conv = convolution(c), o = make(names[c.pass].type);
        set(o, names[c.pass].alpha, CUDNN_TYPE_FLOAT, 1, &c.alpha);
        set(o, names[c.pass].beta, CUDNN_TYPE_FLOAT, 1, &c.beta);
        set(o, names[c.pass].conv, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &conv);
        set(o, names[c.pass].x, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x);
        set(o, names[c.pass].w, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &w);
        set(o, names[c.pass].y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y);
        keep(cudnnBackendFinalize(o));
        return o;
    }
    void describe(const conv_case &c)
    {
        const std::vector<int64_t> xd = {c.n, c.c, c.h, c.w}, yd = {c.n, c.k, c.oh(), c.ow()},
                                   wd = {c.k, c.c / c.groups, c.r, c.r}, bd = {1, c.k, 1, 1};
        const auto type = [&](int uid) { return uid == c.odd ? CUDNN_DATA_FLOAT : c.type; };
        const cudnnBackendDescriptor_t x = tensor(UID_X, type(UID_X), c.nhwc, xd, c.x_channels),
                                       w = tensor(UID_W, type(UID_W), c.nhwc, wd, wd[1]),
                                       y = tensor(UID_Y, type(UID_Y), c.nhwc, yd, c.y_channels);
        std::vector<cudnnBackendDescriptor_t> ops;
        const int tail = c.bias + (c.act >= 0);
        cudnnBackendDescriptor_t from =
            tail ? tensor(UID_BETWEEN, CUDNN_DATA_FLOAT, c.nhwc, yd, c.k) : y;
        ops.push_back(operation(c, x, w, from));
        if (c.bias) {
            const cudnnBackendDescriptor_t b = tensor(UID_BIAS, type(UID_BIAS), c.nhwc, bd, c.k);
            const cudnnBackendDescriptor_t to =
                c.act >= 0 ? tensor(UID_BETWEEN + 1, CUDNN_DATA_FLOAT, c.nhwc, yd, c.k) : y;
            ops.push_back(pointwise(CUDNN_POINTWISE_ADD, 0, from, b, to));
            keep(cudnnBackendFinalize(ops.back()));
            from = to;
        }
        if (c.act >= 0) {
            ops.push_back(pointwise((cudnnPointwiseMode_t)c.act, c.slope, from, nullptr, y));
            keep(cudnnBackendFinalize(ops.back()));
        }
        graph = make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
        set(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, ops.size(),
            ops.data());
        keep(cudnnBackendFinalize(graph));
    }
    /* The engines that a mode of the heuristics names, as configurations. */
    std::vector<cudnnBackendDescriptor_t> ask(cudnnBackendHeurMode_t mode)
    {
        std::vector<cudnnBackendDescriptor_t> configs(8);
        int64_t n = 0;
        const cudnnBackendDescriptor_t h = make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
        set(h, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph);
        set(h, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
        keep(cudnnBackendFinalize(h));
        for (auto &c : configs) {
            c = make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
        }
        keep(cudnnBackendGetAttribute(h, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, configs.size(), &n,
                                      configs.data()));
        configs.resize(n);
        return configs;
    }
    void build(cudnnBackendDescriptor_t config)
    {
        cudnnBackendDescriptor_t e = make(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
        int64_t n = 0;
        keep(cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE,
                                      CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n, &e));
        keep(cudnnBackendGetAttribute(e, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &n,
                                      &engine));
        plan = make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        set(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
            &config);
        keep(cudnnBackendFinalize(plan));
        if (status == CUDNN_STATUS_SUCCESS) {
            keep(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                          CUDNN_TYPE_INT64, 1, &n, &workspace));
        }
    }
    cudnnBackendDescriptor_t pack(std::vector<int64_t> uids, std::vector<void *> pointers,
                                  void *work)
    {
        const cudnnBackendDescriptor_t p = make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
        set(p, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, uids.size(), uids.data());
        set(p, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers.size(),
            pointers.data());
        set(p, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &work);
        keep(cudnnBackendFinalize(p));
        return p;
    }
};

#endif
