/*
 * loss_scale.c - see loss_scale.h.
 */
#include "loss_scale.h"

static const double most = 1 << 24; /* the norm of a gradient times this has its square in fp32 */

struct loss_scale loss_scale_first(const struct net_config *net)
{
    return (struct loss_scale){.value = net->precision == PRECISION_FP16 ? net->loss_scale : 1};
}

bool loss_scale_follow(struct loss_scale *s, const struct net_config *net, bool overflowed)
{
    const double before = s->value;
    if (net->precision != PRECISION_FP16) {
        return false;
    }
    if (overflowed) {
        s->value = before / 2 >= 1 ? before / 2 : before;
        s->good = 0;
    } else if (++s->good == net->loss_scale_steps) {
        s->value = before * 2 <= most ? before * 2 : before;
        s->good = 0;
    }
    return s->value < before || s->value > before;
}
