#!/usr/bin/env python3
"""Expected costs of the networks in cfg/backbone, cfg/cifar, cfg/detect, from first principles.

Written from the papers' tables, knowing nothing of vov: a network is a list of convolutions with
their sizes, and every figure is a sum over them. Prints tests/net/costs.h:

    scripts/golden/costs.py > tests/net/costs.h

params       weights, biases, gammas and betas
madds        one for each multiplication of convolutions and fully connected layers
mac          memory access cost, VoVNet paper Eq. 1: sum of hi*wi*ci + ho*wo*co + k*k*ci*co/groups
bn           elements that leave batch norms
activations  elements that leave convolutions and fully connected layers
"""


class Net:
    def __init__(self, size, channels=3):
        self.h, self.c = size, channels
        self.params = self.madds = self.mac = self.bn = self.activations = 0

    def conv(self, co, k=1, s=1, groups=1, bias=False, bn=True, floor=True, ci=None, h=None):
        """A convolution padded by k // 2 on the current picture, or on ci channels of h x h."""
        ci = self.c if ci is None else ci
        hi = self.h if h is None else h
        ho = (hi + 2 * (k // 2) - k) // s + 1
        weights = k * k * ci * co // groups
        self.params += weights + (co if bias else 0) + (2 * co if bn else 0)
        self.madds += ho * ho * weights
        self.mac += hi * hi * ci + ho * ho * co + weights
        self.bn += ho * ho * co if bn else 0
        self.activations += ho * ho * co
        self.h, self.c = ho, co

    def norm(self, c=None):
        c = self.c if c is None else c
        self.params += 2 * c
        self.bn += self.h * self.h * c

    def pool_ceil(self):
        """3x3 by 2 without padding, the last window may be cut."""
        self.h = -(-(self.h - 3) // 2) + 1

    def pool_pad1(self):
        """3x3 by 2 with one row of padding."""
        self.h = (self.h + 2 - 3) // 2 + 1

    def pool2(self):
        self.h //= 2

    def fc(self, classes):
        self.h = 1
        self.conv(classes, bias=True, bn=False)

    def row(self):
        return self.params, self.madds, self.mac, self.bn, self.activations


SLIM, FULL = (64, 80, 96, 112), (128, 160, 192, 224)
SLIM_OUT, FULL_OUT = (128, 256, 384, 512), (256, 512, 768, 1024)
V2_SLIM_OUT = (112, 256, 384, 512)


def separable(net, co, s=1):
    net.conv(net.c, 3, s, groups=net.c, bn=False)
    net.conv(co)


def ese(net):
    h = net.h
    net.h = 1
    net.conv(net.c, bias=True, bn=False)
    net.h = h


def osa(net, layers, width, out, dw=False, squeeze=False):
    c, h = net.c, net.h
    if dw and c != width:
        net.conv(width)
    for _ in range(layers):
        if squeeze:
            net.conv(width // 2)
        if dw:
            separable(net, width)
        else:
            net.conv(width, 3)
    net.c = c + layers * width
    net.conv(out)
    assert net.h == h


def vovnet(size, stem, widths, outs, blocks, layers=5, code=False, ese_in="none", dw=False,
           squeeze=False, classes=1000):
    net = Net(size)
    for i, c in enumerate(stem):
        s = (2, 1, 2 if code else 1)[i]
        if dw and i > 0:
            separable(net, c, s)
        else:
            net.conv(c, 3, s)
    for stage in range(4):
        if stage > 0 or not code:
            net.pool_ceil()
        for block in range(blocks[stage]):
            osa(net, layers, widths[stage], outs[stage], dw, squeeze)
            if ese_in == "all" or (ese_in == "last" and block == blocks[stage] - 1):
                ese(net)
    net.fc(classes)
    return net.row()


def densenet(size, k, blocks):
    net = Net(size)
    net.conv(2 * k, 7, 2)
    net.pool_pad1()
    for i, layers in enumerate(blocks):
        c, h = net.c, net.h
        for layer in range(layers):
            net.norm(c + layer * k)
            net.conv(4 * k, bn=True, ci=c + layer * k)
            net.conv(k, 3, bn=False)
        net.c, net.h = c + layers * k, h
        net.norm()
        if i < 3:
            net.conv(net.c // 2, bn=False)
            net.pool2()
    net.fc(1000)
    return net.row()


def resnet(size, blocks, stride_on_1x1=False):
    net = Net(size)
    net.conv(64, 7, 2)
    net.pool_pad1()
    for stage, n in enumerate(blocks):
        width = 64 << stage
        for block in range(n):
            s = 2 if stage > 0 and block == 0 else 1
            c, h = net.c, net.h
            net.conv(width, 1, s if stride_on_1x1 else 1)
            net.conv(width, 3, 1 if stride_on_1x1 else s)
            net.conv(4 * width)
            if block == 0:
                net.conv(4 * width, 1, s, ci=c, h=h)
    net.fc(1000)
    return net.row()


def densenet40():
    net = Net(32)
    net.conv(16, 3, bn=False)
    for block in range(3):
        c = net.c
        for layer in range(12):
            net.norm(c + 12 * layer)
            net.conv(12, 3, bn=False, ci=c + 12 * layer)
        net.c = c + 12 * 12
        net.norm()
        if block < 2:
            net.conv(net.c, bn=False)
            net.pool2()
    net.fc(10)
    return net.row()


def osa_cifar(layers, width):
    net = Net(32)
    net.conv(16, 3)
    for module in range(3):
        osa(net, layers, width, net.c + layers * width)
        if module < 2:
            net.pool2()
    net.fc(10)
    return net.row()


class Level:
    """A picture in the middle of a network, from which something branches off."""

    def __init__(self, net):
        self.c, self.h = net.c, net.h

    def back(self, net):
        net.c, net.h = self.c, self.h


def refinedet(net, levels, classes):
    """RefineDet's parts behind a body with three levels, the finest first."""
    anchors = 3

    def residual(a, b, c, s):
        start = Level(net)
        net.conv(c, 1, s)
        start.back(net)
        net.conv(a, 1, s)
        net.conv(b, 3)
        net.conv(c)

    def predictors(*outputs):
        residual(256, 256, 1024, 1)
        source = Level(net)
        for co in outputs:
            source.back(net)
            net.conv(anchors * co, 3, bias=True, bn=False)

    levels[-1].back(net)
    residual(128, 128, 512, 2)
    levels = levels + [Level(net)]
    for level in levels:
        level.back(net)
        predictors(4, 2)
    for i, level in enumerate(levels):
        level.back(net)
        net.conv(256, 3)
        net.conv(256, 3)
        if i < 3:  # the coarser level's 256 channels are doubled: each pixel makes 2x2
            up = 2 * 2 * 256 * 256
            coarse = levels[i + 1].h
            assert net.h == 2 * coarse
            net.params += up + 2 * 256
            net.madds += coarse * coarse * up
            net.mac += (coarse * coarse + net.h * net.h) * 256 + up
            net.bn += net.h * net.h * 256
            net.activations += net.h * net.h * 256
        net.conv(256, 3)
        predictors(4, classes + 1)
    return net.row()


def refinedet_vovnet(size, blocks):
    net, levels = Net(size), []
    for c, s in (64, 2), (64, 1), (128, 1):
        net.conv(c, 3, s)
    for stage in range(4):
        net.pool_ceil()
        for _ in range(blocks[stage]):
            osa(net, 5, FULL[stage], FULL_OUT[stage])
        levels.append(Level(net))
    return refinedet(net, levels[1:], 80)


def refinedet_resnet(size, blocks):
    net, levels = Net(size), []
    net.conv(64, 7, 2)
    net.pool_ceil()
    for stage, n in enumerate(blocks):
        for block in range(n):
            s = 2 if stage > 0 and block == 0 else 1
            start = Level(net)
            for co, k, stride in (64 << stage, 1, s), (64 << stage, 3, 1), (256 << stage, 1, 1):
                net.conv(co, k, stride)
            if block == 0:
                net.conv(256 << stage, 1, s, ci=start.c, h=start.h)
        levels.append(Level(net))
    return refinedet(net, levels[1:], 80)


def refinedet_densenet(size, k, blocks):
    net, levels = Net(size), []
    net.conv(2 * k, 7, 2)
    net.pool_ceil()
    for i, layers in enumerate(blocks):
        for _ in range(layers):
            start = Level(net)
            net.norm()
            net.conv(4 * k)
            net.conv(k, 3, bn=False)
            net.c = start.c + k
        net.norm()
        if i < 3:
            net.conv(net.c // 2, bn=False)
        levels.append(Level(net))
        if i < 3:
            net.pool2()
    return refinedet(net, levels[1:], 80)


STEM, STEM_DW = (64, 64, 128), (64, 64, 64)
ONE, V39, V57, V99 = (1, 1, 1, 1), (1, 1, 2, 2), (1, 1, 4, 3), (1, 3, 9, 3)


def rows():
    """(cfg, overrides, input size, costs)"""
    for size in 224, 320:
        yield "backbone/vovnet27s", "", size, vovnet(size, STEM, SLIM, SLIM_OUT, ONE)
        yield "backbone/vovnet39", "", size, vovnet(size, STEM, FULL, FULL_OUT, V39)
        yield "backbone/vovnet57", "", size, vovnet(size, STEM, FULL, FULL_OUT, V57)
        yield "backbone/vovnet39-code", "", size, vovnet(size, STEM, FULL, FULL_OUT, V39, code=True)
        yield "backbone/vovnet57-code", "", size, vovnet(size, STEM, FULL, FULL_OUT, V57, code=True)
        for where in "last", "all":
            change = "osa.ese=all" if where == "all" else ""
            v2 = dict(code=True, ese_in=where)
            yield ("backbone/vovnetv2-19-slim", change, size,
                   vovnet(size, STEM, SLIM, V2_SLIM_OUT, ONE, 3, **v2))
            yield ("backbone/vovnetv2-19", change, size,
                   vovnet(size, STEM, FULL, FULL_OUT, ONE, 3, **v2))
            yield ("backbone/vovnetv2-39", change, size,
                   vovnet(size, STEM, FULL, FULL_OUT, V39, **v2))
            yield ("backbone/vovnetv2-57", change, size,
                   vovnet(size, STEM, FULL, FULL_OUT, V57, **v2))
            yield ("backbone/vovnetv2-99", change, size,
                   vovnet(size, STEM, FULL, FULL_OUT, V99, **v2))
        light = "osa.depthwise=1 stem.depthwise=1 stem.channels=64,64,64"
        v2 = dict(code=True, ese_in="last", dw=True)
        yield ("backbone/vovnetv2-19-slim", light, size,
               vovnet(size, STEM_DW, SLIM, V2_SLIM_OUT, ONE, 3, **v2))
        yield ("backbone/vovnetv2-19", light, size,
               vovnet(size, STEM_DW, FULL, FULL_OUT, ONE, 3, **v2))
        yield ("backbone/vovnet27s", "osa.bottleneck=1", size,
               vovnet(size, STEM, SLIM, SLIM_OUT, ONE, squeeze=True))
        yield "backbone/densenet121", "", size, densenet(size, 32, (6, 12, 24, 16))
        yield "backbone/densenet161", "", size, densenet(size, 48, (6, 12, 36, 24))
        yield "backbone/densenet169", "", size, densenet(size, 32, (6, 12, 32, 32))
        yield "backbone/densenet201", "", size, densenet(size, 32, (6, 12, 48, 32))
        yield "backbone/resnet50", "", size, resnet(size, (3, 4, 6, 3))
        yield "backbone/resnet101", "", size, resnet(size, (3, 4, 23, 3))
        caffe = "bottleneck.stride_on=1x1"
        yield "backbone/resnet50", caffe, size, resnet(size, (3, 4, 6, 3), True)
        yield "backbone/resnet101", caffe, size, resnet(size, (3, 4, 23, 3), True)
    for size in 320, 512:
        name = "detect/refinedet%d-" % size
        yield name + "vovnet39", "", size, refinedet_vovnet(size, V39)
        yield name + "vovnet57", "", size, refinedet_vovnet(size, V57)
        yield name + "resnet50", "", size, refinedet_resnet(size, (3, 4, 6, 3))
        yield name + "resnet101", "", size, refinedet_resnet(size, (3, 4, 23, 3))
        yield name + "densenet161", "", size, refinedet_densenet(size, 48, (6, 12, 36, 24))
        yield name + "densenet201", "", size, refinedet_densenet(size, 32, (6, 12, 48, 32))
    yield "cifar/densenet40", "", 32, densenet40()
    yield "cifar/osa12x20", "", 32, osa_cifar(12, 20)
    yield "cifar/osa5x43", "", 32, osa_cifar(5, 43)


def main():
    print("/*\n * costs.h - what the networks of cfg/ must cost. Made by scripts/golden/costs.py.\n */")
    print("#ifndef VOV_COSTS_H\n#define VOV_COSTS_H\n")
    print("struct cost_row {\n    const char *cfg, *set;\n    int size;\n"
          "    long long params, madds, mac, bn, activations;\n};\n")
    print("/* clang-format off */\nstatic const struct cost_row cost_rows[] = {")
    for cfg, change, size, cost in rows():
        print('    {"%s", "%s", %d, %s},' % (cfg, change, size, ", ".join(map(str, cost))))
    print("};\n/* clang-format on */\n\n#endif")


if __name__ == "__main__":
    main()
