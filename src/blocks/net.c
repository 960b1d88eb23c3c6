/*
 * net.c - the keys of [net], and what its values must fulfil together. Names and meanings are
 * Darknet's where Darknet has the key.
 */
#include "net.h"

#include "base/err.h"

#include <math.h>
#include <string.h>

#define AT(field) offsetof(struct net_config, field)

const char *const net_doc =
    "The input, its pixels, and how the network is trained. Always the first section. Also called "
    "[network].";

const struct key_spec net_keys[] = {
    {"width", NULL, KEY_INT, AT(width), 1, 16384, NULL, "pixels of the input, across"},
    {"height", NULL, KEY_INT, AT(height), 1, 16384, NULL, "pixels of the input, down"},
    {"channels", "3", KEY_INT, AT(channels), 1, 1024, NULL, "channels of the input"},
    {"classes", "0", KEY_INT, AT(classes), 0, 100000, NULL,
     "classes without background; heads take their number from here; 0: the head or data says"},

    {"mean", "0", KEY_REALS, AT(mean), -1e6, 1e6, NULL,
     "taken from pixels 0..255 first: one number, or one for each channel in network order"},
    {"std", "255", KEY_REALS, AT(std), 1e-6, 1e6, NULL,
     "pixels are then divided by this: one number, or one for each channel"},
    {"bgr", "0", KEY_BOOL, AT(bgr), 0, 1, NULL, "channels in the order blue, green, red"},
    {"fit", "stretch", KEY_ENUM, AT(fit), 0, 0, "stretch letterbox pad",
     "how a picture is brought to width x height: drawn to it; in its shape, in the middle; or in "
     "its "
     "shape at the top left, of a size that short_side and long_side say, those that stand with "
     "width and height exchanged"},
    {"short_side", "", KEY_REALS, AT(short_side), 1, 16384, NULL,
     "fit=pad: pixels of a picture's shorter side, the smaller of width and height unless given; "
     "of "
     "several, training takes one by chance for each picture, and all else the largest"},
    {"long_side", "0", KEY_INT, AT(long_side), 0, 16384, NULL,
     "fit=pad: most pixels of its longer side, which the shorter one yields to; 0: the larger of "
     "width and height"},
    {"letter_box", "0", KEY_BOOL, AT(letter_box), 0, 1, NULL, "Darknet's way to say fit=letterbox"},

    {"norm", "batch", KEY_ENUM, AT(norm), 0, 0, "batch group frozen",
     "what each batch norm of the net is: itself, a group norm, or a scale and shift that learn no "
     "more"},
    {"norm_eps", "1e-5", KEY_REAL, AT(norm_eps), 1e-12, 1, NULL,
     "added to the variance by every norm"},
    {"norm_momentum", "0.9", KEY_REAL, AT(norm_momentum), 0, 1, NULL,
     "part of a batch norm's old running statistics that a step keeps"},

    {"conv", "auto", KEY_ENUM, AT(conv), 0, 0, "auto exact f2 f4 f6",
     "how 3x3 convolutions are computed on the CPU: as the formula says, by Winograd's F(2x2), "
     "F(4x4) or F(6x6), or the fastest (in training never F(6x6)); see docs/performance.md"},

    {"tf32", "0", KEY_BOOL, AT(tf32), 0, 1, NULL,
     "on a GPU: convolutions of fp32 may round what they multiply to 11 bits first, which tensor "
     "cores need; `vov bench --layers` says where they do"},
    {"deterministic", "1", KEY_BOOL, AT(deterministic), 0, 1, NULL,
     "on a GPU: the same bits every time; 0 allows convolutions that add in any order"},
    {"conv_workspace", "0", KEY_INT, AT(conv_workspace), 0, 65536, NULL,
     "on a GPU: MiB that one convolution may take beside its tensors; 0: 512"},
    {"precision", "fp32", KEY_ENUM, AT(precision), 0, 0, "fp32 fp16 bf16",
     "how tensors between layers, and their gradients, are kept: fp16 and bf16 take half the "
     "memory "
     "and need --device cuda; parameters, their gradients, sums and losses are fp32 always"},

    {"batch", "1", KEY_INT, AT(batch), 1, 65536, NULL, "pictures between two updates"},
    {"subdivisions", "1", KEY_INT, AT(subdivisions), 1, 65536, NULL,
     "parts that a batch is computed in, to save memory; must divide it"},
    {"learning_rate", "0.001", KEY_REAL, AT(learning_rate), 0, 1000, NULL,
     "rate before the policy changes it"},
    {"momentum", "0.9", KEY_REAL, AT(momentum), 0, 1, NULL, "part of the last step that goes on"},
    {"decay", "0.0001", KEY_REAL, AT(decay), 0, 1, NULL, "weight decay; not for biases and norms"},
    {"bias_learning_rate", "1", KEY_REAL, AT(bias_learning_rate), 0, 100, NULL,
     "factor on the rate for biases of convolutions without a norm"},
    {"nesterov", "0", KEY_BOOL, AT(nesterov), 0, 1, NULL, "Nesterov's momentum"},
    {"policy", "constant", KEY_ENUM, AT(policy), 0, 0,
     "constant step steps exp poly sigmoid cosine", "how the rate changes"},
    {"steps", "", KEY_REALS, AT(steps), 0, 1e12, NULL,
     "steps: iterations (epochs with epochs=) at which the rate is multiplied by scales"},
    {"scales", "", KEY_REALS, AT(scales), 1e-12, 1e12, NULL,
     "steps: the factors, one for each of steps; none: 0.1 each"},
    {"gamma", "1", KEY_REAL, AT(gamma), 1e-12, 1e6, NULL, "exp, sigmoid: base or steepness"},
    {"power", "4", KEY_REAL, AT(power), 0, 1000, NULL, "poly: the exponent"},
    {"step", "1", KEY_INT, AT(step), 1, 2147483647, NULL,
     "step, sigmoid: iterations (epochs with epochs=) between changes, or of the middle"},
    {"scale", "1", KEY_REAL, AT(scale), 1e-12, 1e6, NULL, "step: factor of each change"},
    {"max_batches", "0", KEY_REAL, AT(max_batches), 0, 1e12, NULL, "iterations of a training run"},
    {"burn_in", "0", KEY_REAL, AT(burn_in), 0, 1e12, NULL,
     "iterations over which the rate rises from 0"},
    {"burn_in_power", "4", KEY_REAL, AT(burn_in_power), 0, 100, NULL,
     "exponent of that rise; 1: a straight line"},
    {"epochs", "0", KEY_REAL, AT(epochs), 0, 1e9, NULL,
     "length of a training run in passes over the data; 0: max_batches says"},
    {"clip", "0", KEY_REAL, AT(clip), 0, 1e12, NULL,
     "largest norm of the gradient, longer ones are shortened; 0: off"},
    {"ema", "0", KEY_REAL, AT(ema), 0, 1, NULL,
     "part of the parameters' moving average that an update keeps, such as 0.9998: the average is "
     "what is evaluated and saved; 0: none"},
    {"loss_scale", "65536", KEY_REAL, AT(loss_scale), 1, 1e18, NULL,
     "fp16: losses are multiplied by this in the backward pass, lest small gradients vanish. An "
     "update whose gradients overflow is left out and the factor halved"},
    {"loss_scale_steps", "2000", KEY_INT, AT(loss_scale_steps), 0, 2147483647, NULL,
     "fp16: updates without an overflow after which that factor is doubled; 0: never"},
    {"max_boxes", "100", KEY_INT, AT(max_boxes), 1, 10000, NULL,
     "truth boxes of one picture that the loss sees"},
    {"seed", "1", KEY_INT, AT(seed), 0, 2147483647, NULL,
     "of all random choices, where the command line gives none"},

    {"distort", "0.5", KEY_REAL, AT(distort), 0, 1, NULL,
     "probability of each of SSD's changes: brightness, contrast, saturation, hue; where Darknet's "
     "saturation, exposure or hue is given it is 0 unless it is given too"},
    {"saturation", "1", KEY_REAL, AT(saturation), 0.01, 100, NULL,
     "Darknet's: saturation is multiplied or divided by a factor between 1 and this"},
    {"exposure", "1", KEY_REAL, AT(exposure), 0.01, 100, NULL,
     "Darknet's: all values are multiplied or divided by a factor between 1 and this"},
    {"hue", "0", KEY_REAL, AT(hue), 0, 0.5, NULL,
     "Darknet's: hue is turned by up to this part of the circle, either way"},
    {"expand", "0.5", KEY_REAL, AT(expand), 0, 1, NULL,
     "probability of placing the picture on a larger canvas"},
    {"max_expand", "4", KEY_REAL, AT(max_expand), 1, 16, NULL, "largest side of it, in pictures"},
    {"crop", "1", KEY_REAL, AT(crop), 0, 1, NULL,
     "probability of SSD's random crop; for a classifier of one of 8 to 100 % of the area"},
    {"pad_crop", "0", KEY_INT, AT(pad_crop), 0, 4096, NULL,
     "of a classifier: pixels that pictures are moved by at most, as in the CIFAR recipes' 4"},
    {"flip", "1", KEY_BOOL, AT(flip), 0, 1, NULL,
     "half of the pictures are mirrored, left to right"},
    {"difficult", "0", KEY_BOOL, AT(difficult), 0, 1, NULL,
     "objects that Pascal VOC marks as difficult are learned, too"},

    {"conf_thresh", "0.01", KEY_REAL, AT(conf_thresh), 0, 1, NULL,
     "detections with a lower score are dropped"},
    {"nms_thresh", "0.45", KEY_REAL, AT(nms_thresh), 0, 1, NULL,
     "overlap at which the weaker of two boxes of a class is dropped"},

#define REFUSED(name, why)                                                                         \
    {                                                                                              \
        name, "", KEY_REFUSED, 0, 0, 0, NULL, why                                                  \
    }
    REFUSED("angle", "pictures are not turned"),
    REFUSED("jitter", "crop= is SSD's random crop, expand= its canvas"),
    REFUSED("min_crop", "crop= of a classifier cuts 8 to 100 % of the area"),
    REFUSED("max_crop", "crop= of a classifier cuts 8 to 100 % of the area"),
    REFUSED("aspect", "crop= of a classifier changes the shape by up to 3:4"),
    REFUSED("mosaic", "four pictures in one are no part of SSD's augmentation"),
    REFUSED("mosaic_bound", "four pictures in one are no part of SSD's augmentation"),
    REFUSED("mixup", "pictures are not blended"),
    REFUSED("cutmix", "pictures are not pasted into each other"),
    REFUSED("blur", "pictures are not blurred"),
    REFUSED("gaussian_noise", "no noise is added to pictures"),
    REFUSED("ema_alpha", "write ema= for a moving average of the weights"),
    REFUSED("label_smooth_eps", "targets are 0 and 1"),
    REFUSED("adam", "the optimizer is SGD with momentum"),
    REFUSED("max_epochs", "write epochs="),
    REFUSED("seen", "a new run begins at 0, and --resume goes on where it was"),
    REFUSED("try_fix_nan", "numbers that are not finite end the run before an update"),
    REFUSED("time_steps", "recurrent networks are not"),
    REFUSED("inputs", "recurrent networks are not; give width, height, channels"),
    REFUSED("track", "pictures of a sequence are not told apart"),
    REFUSED("augment_speed", "pictures of a sequence are not told apart"),
    REFUSED("contrastive", "contrastive losses are not"),
#undef REFUSED
    {0},
};
#undef AT

/* The place of a key's value, or of the section where the key was not written. */
static const struct src_loc *place_of(const struct cfg_section *s, const char *key)
{
    const struct cfg_key *k = cfg_find(s, key);

    return k != NULL ? &k->value_at : &s->at;
}

static enum vov_status check_batch(const struct cfg_section *s, const struct net_config *n,
                                   struct err *err)
{
    if (n->subdivisions > n->batch) {
        return err_at(err, place_of(s, "subdivisions"), VOV_ECFG,
                      "[net] batch=%d cannot be computed in subdivisions=%d parts; subdivisions "
                      "must be at most batch",
                      n->batch, n->subdivisions);
    }
    if (n->batch % n->subdivisions != 0) {
        return err_at(err, place_of(s, "subdivisions"), VOV_ECFG,
                      "[net] subdivisions=%d does not divide batch=%d", n->subdivisions, n->batch);
    }
    return VOV_OK;
}

static enum vov_status check_pixels(const struct cfg_section *s, const struct net_config *n,
                                    struct err *err)
{
    if (n->mean.n != 1 && n->mean.n != n->channels) {
        return err_at(err, place_of(s, "mean"), VOV_ECFG,
                      "[net] mean must have one number, or %d for %d channels, not %d", n->channels,
                      n->channels, n->mean.n);
    }
    if (n->std.n != 1 && n->std.n != n->channels) {
        return err_at(err, place_of(s, "std"), VOV_ECFG,
                      "[net] std must have one number, or %d for %d channels, not %d", n->channels,
                      n->channels, n->std.n);
    }
    return VOV_OK;
}

static enum vov_status check_sides(const struct cfg_section *s, struct net_config *n,
                                   struct err *err)
{
    const int less = n->width < n->height ? n->width : n->height;
    const int more = n->width < n->height ? n->height : n->width;

    if (n->fit != FIT_PAD && (n->short_side.n > 0 || n->long_side > 0)) {
        return err_at(err, place_of(s, n->short_side.n > 0 ? "short_side" : "long_side"), VOV_ECFG,
                      "[net] short_side and long_side belong to fit=pad");
    }
    for (int i = 0; i < n->short_side.n; i++) {
        if (n->short_side.v[i] > less || n->short_side.v[i] != floor(n->short_side.v[i])) {
            return err_at(err, place_of(s, "short_side"), VOV_ECFG,
                          "[net] short_side=%g must be a whole number of at most %d, the shorter "
                          "side of the input",
                          n->short_side.v[i], less);
        }
    }
    if (n->long_side > more) {
        return err_at(err, place_of(s, "long_side"), VOV_ECFG,
                      "[net] long_side=%d must be at most %d, the longer side of the input",
                      n->long_side, more);
    }
    return VOV_OK;
}

static enum vov_status check_steps(const struct cfg_section *s, const struct net_config *n,
                                   struct err *err)
{
    if (n->policy != LR_STEPS) {
        return VOV_OK;
    }
    if (n->steps.n == 0) {
        return err_at(err, place_of(s, "policy"), VOV_ECFG, "[net] policy=steps needs steps=");
    }
    if (n->scales.n != 0 && n->scales.n != n->steps.n) {
        return err_at(err, place_of(s, "scales"), VOV_ECFG,
                      "[net] scales has %d numbers, steps has %d", n->scales.n, n->steps.n);
    }
    for (int i = 1; i < n->steps.n; i++) {
        if (n->steps.v[i] <= n->steps.v[i - 1]) {
            return err_at(err, place_of(s, "steps"), VOV_ECFG,
                          "[net] steps must rise: %g follows %g", n->steps.v[i], n->steps.v[i - 1]);
        }
    }
    return VOV_OK;
}

enum vov_status net_refuse(const struct cfg_section *s, struct err *err)
{
    const struct cfg_key *policy = cfg_find(s, "policy");

    if (policy != NULL && strcmp(policy->value, "random") == 0) {
        return err_at(err, &policy->value_at, VOV_ECFG,
                      "[net] Darknet's policy=random, a rate drawn anew at each step, is not built "
                      "in: nothing is known to train well by it; use constant or cosine");
    }
    if (policy != NULL && strcmp(policy->value, "sgdr") == 0) {
        return err_at(err, &policy->value_at, VOV_ECFG,
                      "[net] policy=sgdr, a cosine with restarts, is not built in this version; "
                      "policy=cosine is one cycle of it");
    }
    return VOV_OK;
}

/* Keys of Darknet that stand for ours. */
static void take_darknets(const struct cfg_section *s, struct net_config *n)
{
    const bool colors = cfg_find(s, "hue") != NULL || cfg_find(s, "saturation") != NULL ||
                        cfg_find(s, "exposure") != NULL;

    if (colors && cfg_find(s, "distort") == NULL) {
        n->distort = 0;
    }
    if (n->letter_box) {
        n->fit = FIT_LETTERBOX;
    }
}

enum vov_status net_check(const struct cfg_section *s, struct net_config *n, struct err *err)
{
    take_darknets(s, n);
    TRY(check_batch(s, n, err));
    TRY(check_pixels(s, n, err));
    TRY(check_sides(s, n, err));
    return check_steps(s, n, err);
}

int net_level(const struct net_config *n, int columns)
{
    return (int)lround(log2((double)n->width / columns));
}
