/*
 * sections.c - the list of all cfg sections, their other names, and a good answer to names that are
 * not in it.
 */
#include "section.h"

#include "base/text.h"

#include <string.h>
#include <strings.h>

extern const struct section_type section_convolutional, section_deconvolutional, section_maxpool,
    section_avgpool, section_global_avgpool, section_connected, section_route, section_shortcut,
    section_upsample, section_bilinear, section_dropout, section_batchnorm, section_groupnorm,
    section_l2norm, section_activation, section_ese, section_stem, section_osa, section_dense,
    section_transition, section_bottleneck, section_tcb, section_downsample, section_two_way_dense,
    section_pad_channels, section_softmax, section_refinedet, section_ssd, section_yolo,
    section_fpn, section_rpn, section_roi_align, section_roi_box, section_roi_mask;

const struct section_type *const section_types[] = {
    &section_convolutional,
    &section_deconvolutional,
    &section_maxpool,
    &section_avgpool,
    &section_global_avgpool,
    &section_connected,
    &section_route,
    &section_shortcut,
    &section_upsample,
    &section_bilinear,
    &section_dropout,
    &section_batchnorm,
    &section_groupnorm,
    &section_l2norm,
    &section_activation,
    &section_ese,
    &section_stem,
    &section_osa,
    &section_dense,
    &section_transition,
    &section_bottleneck,
    &section_tcb,
    &section_downsample,
    &section_two_way_dense,
    &section_pad_channels,
    &section_softmax,
    &section_refinedet,
    &section_ssd,
    &section_yolo,
    &section_fpn,
    &section_rpn,
    &section_roi_align,
    &section_roi_box,
    &section_roi_mask,
    NULL,
};

/* Darknet's other spellings. */
static const struct {
    const char *alias, *name;
} aliases[] = {
    {"conv", "convolutional"}, {"deconv", "deconvolutional"}, {"max", "maxpool"},
    {"avg", "avgpool"},        {"conn", "connected"},         {"soft", "softmax"},
};

/* Sections of Darknet, and of detectors to come, that this version cannot run. */
static const char *const not_built[] = {
    "region", "detection",     "cost",        "crop",          "local",
    "rnn",    "gru",           "lstm",        "crnn",          "conv_lstm",
    "sam",    "reorg",         "reorg3d",     "reorg_old",     "scale_channels",
    "iseg",   "local_avgpool", "contrastive", "gaussian_yolo", "normalization",
    "lrn",    "empty",
};

enum { COUNT = sizeof section_types / sizeof section_types[0] - 1 };

const struct section_type *section_find(const char *name)
{
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (strcmp(name, aliases[i].alias) == 0) {
            name = aliases[i].name;
        }
    }
    for (int i = 0; i < COUNT; i++) {
        if (strcmp(name, section_types[i]->name) == 0) {
            return section_types[i];
        }
    }
    return NULL;
}

enum vov_status section_refuse(const struct cfg_section *s, struct err *err)
{
    const char *words[COUNT + 1] = {"net"};
    const char *near = NULL;

    for (size_t i = 0; i < sizeof not_built / sizeof not_built[0]; i++) {
        if (strcasecmp(s->type, not_built[i]) == 0) {
            return err_at(err, &s->at, VOV_ECFG, "[%s] is not built in this version", s->type);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        words[i + 1] = section_types[i]->name;
        if (strcasecmp(s->type, section_types[i]->name) == 0) {
            near = section_types[i]->name;
        }
    }
    if (near == NULL) {
        near = text_nearest(s->type, words, COUNT + 1, sizeof words[0]);
    }
    if (near != NULL) {
        return err_at(err, &s->at, VOV_ECFG, "unknown section [%s]; did you mean [%s]?", s->type,
                      near);
    }
    return err_at(err, &s->at, VOV_ECFG,
                  "unknown section [%s]; `vov help cfg` lists the sections that there are",
                  s->type);
}

#define AT(field) offsetof(struct common_keys, field)
const struct key_spec common_key_table[] = {
    {"name", "", KEY_NAME, AT(name), 0, 0, NULL,
     "what this section's output, nodes and weights are called"},
    {"from", "", KEY_NAME, AT(from), 0, 0, NULL,
     "name or number of the section whose output is this one's input; the one before if not given"},
    {0},
};
