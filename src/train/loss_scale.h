/*
 * loss_scale.h - what losses are multiplied by so that gradients of 16 bits do not vanish, and how
 * that follows from what happens: halved when gradients overflowed, doubled after a while in which
 * they did not (Micikevicius et al., Mixed Precision Training, ICLR 2018, 3.2).
 */
#ifndef VOV_LOSS_SCALE_H
#define VOV_LOSS_SCALE_H

#include "blocks/net.h"

/* The state that a checkpoint keeps. */
struct loss_scale {
    double value; /* 1: none */
    long good;    /* updates since it last changed */
};

/* fp16 begins with the cfg's; bf16 has the range of fp32 and needs none. */
struct loss_scale loss_scale_first(const struct net_config *net);

/* After an update whose gradients overflowed or did not. Whether the value changed: never with
 * another precision than fp16, and it does not fall below 1. */
bool loss_scale_follow(struct loss_scale *s, const struct net_config *net, bool overflowed);

#endif
