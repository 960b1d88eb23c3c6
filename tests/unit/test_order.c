/*
 * test_order.c - which pictures make up a batch: each once in an epoch, wide and standing ones
 * apart, none for ever left out, an evaluation's in order.
 */
#include "data/order.h"

#include "run.h"

#include <string.h>

enum { MOST = 60 };

static int place[4 * MOST], scratch[4 * MOST];
static uint8_t stands[MOST];

static int fill(const struct order *o, long epoch)
{
    memset(place, 0x7f, sizeof place);
    order_fill(o, epoch, place, scratch);
    return (int)order_batches(o) * o->batch;
}

static void count(int n, int *times)
{
    memset(times, 0, MOST * sizeof *times);
    for (int i = 0; i < n; i++) {
        if (place[i] >= 0) {
            times[place[i]]++;
        }
    }
}

/* 17 pictures, every third stands: 6 of them, and 11 wide ones. */
static struct order seventeen(bool train, bool apart)
{
    for (int i = 0; i < 17; i++) {
        stands[i] = i % 3 == 0;
    }
    return (struct order){17, 4, train, 3, apart ? stands : NULL};
}

START_TEST(alike)
{
    const struct order o = seventeen(true, false);
    int times[MOST], first[16];

    ck_assert_int_eq(fill(&o, 0), 16);
    memcpy(first, place, sizeof first);
    count(16, times);
    for (int i = 0; i < 17; i++) {
        ck_assert_int_le(times[i], 1);
    }
    fill(&o, 1);
    ck_assert_mem_ne(first, place, sizeof first);
    fill(&o, 0);
    ck_assert_mem_eq(first, place, sizeof first);
}
END_TEST

/* A batch is of one kind, all are seen, and no more often than filling up asks for. */
START_TEST(apart)
{
    const struct order o = seventeen(true, true);
    int times[MOST];

    for (int epoch = 0; epoch < 20; epoch++) {
        const int n = fill(&o, epoch);
        ck_assert_int_eq(n, (2 + 3) * 4);
        for (int i = 0; i < n; i++) {
            ck_assert_int_eq(stands[place[i]], stands[place[i / 4 * 4]]);
        }
        count(n, times);
        for (int i = 0; i < 17; i++) {
            ck_assert(times[i] == 1 || times[i] == 2);
        }
    }
}
END_TEST

START_TEST(fewer_than_a_batch)
{
    const struct order o = {2, 5, true, 1, NULL};
    int times[MOST];

    ck_assert_int_eq(fill(&o, 0), 5);
    count(5, times);
    ck_assert_int_eq(times[0] + times[1], 5);
    ck_assert(times[0] >= 2 && times[1] >= 2);
    memset(stands, 0, sizeof stands);
    stands[1] = 1;
    const struct order two = {2, 5, true, 1, stands};
    ck_assert_int_eq(fill(&two, 0), 10);
    count(10, times);
    ck_assert(times[0] == 5 && times[1] == 5);
}
END_TEST

START_TEST(evaluation)
{
    const struct order o = seventeen(false, false), kinds = seventeen(false, true);
    int times[MOST], n = fill(&o, 0);

    ck_assert_int_eq(n, 20);
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(place[i], i < 17 ? i : -1);
    }
    n = fill(&kinds, 0);
    ck_assert_int_eq(n, 20);
    count(n, times);
    for (int i = 0; i < 17; i++) {
        ck_assert_int_eq(times[i], 1);
    }
    for (int i = 1; i < n; i++) { /* what is missing is missing at a batch's end */
        ck_assert(place[i] < 0 || i % 4 == 0 || place[i - 1] >= 0);
        ck_assert(place[i] < 0 || stands[place[i]] == stands[place[i / 4 * 4]]);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {alike, apart, fewer_than_a_batch, evaluation, NULL};
    return run_tests("order", tests);
}
