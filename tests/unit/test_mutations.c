/*
 * test_mutations.c - thousands of damaged inputs for every reader: cfg, JSON, COCO annotations and
 * results, .data, VOC, safetensors, PNG, JPEG. Each is a good input with a few bytes changed, cut,
 * doubled or put in, numbers and words replaced by nasty ones. Readers must take it or refuse it
 * with a message; the sanitizers' builds see what else they do. The same inputs on every run.
 */
#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "data/codec.h"
#include "data/dataset.h"
#include "eval/coco_eval.h"
#include "io/safetensors.h"
#include "model/model.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- damage ---- */

static const char *const nasty[] = {
    "-1",    "0",       "2147483648", "18446744073709551616",
    "1e999", "-1e-999", "nan",        "99999999",
    "0.5",   "null",    "[]",         "{}",
    "\"\"",  "true",    "\\u0000",    "[",
    "=",     "\n[",     "\xff\xfe",   "\xed\xa0\x80",
    "\t",    "\r\n",    "#",          "\033[31m",
    "3,3,",  "-0",      "\"\\",       "4294967297",
    "65536", "1e308",   "-",          ",",
};
enum { N_NASTY = sizeof nasty / sizeof nasty[0] };

static void cut(struct buf *b, size_t at, size_t n)
{
    n = n < b->n - at ? n : b->n - at;
    memmove(b->p + at, b->p + at + n, b->n - at - n);
    b->n -= n;
}

static void put_in(struct buf *b, size_t at, const char *bytes, size_t n)
{
    const size_t old = b->n;
    char copy[64];
    n = n < sizeof copy ? n : sizeof copy;
    memcpy(copy, bytes, n);
    buf_add(b, copy, n);
    memmove(b->p + at + n, b->p + at, old - at);
    memcpy(b->p + at, copy, n);
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.' || c == '-';
}

/* The word or number around `at` becomes a nasty one. */
static void replace_word(struct buf *b, size_t at, struct rng *r)
{
    const char *word = nasty[rng_int(r, N_NASTY)];
    size_t end = at;
    while (at > 0 && is_word(b->p[at - 1])) {
        at--;
    }
    while (end < b->n && is_word(b->p[end])) {
        end++;
    }
    cut(b, at, end - at);
    put_in(b, at, word, strlen(word));
}

static void damage_once(struct buf *b, struct rng *r)
{
    /* Heads are short and matter most. */
    const size_t range = rng_int(r, 3) == 0 && b->n > 64 ? 64 : b->n;
    const size_t at = (size_t)rng_int(r, (int)range);
    switch (rng_int(r, 8)) {
    case 0:
        b->p[at] = (char)(b->p[at] ^ (1 << rng_int(r, 8)));
        break;
    case 1:
        b->p[at] = (char)rng_int(r, 256);
        break;
    case 2:
        b->p[at] = rng_int(r, 2) != 0 ? '\0' : (char)0xff;
        break;
    case 3:
        cut(b, at, (size_t)(1 + rng_int(r, 16)));
        break;
    case 4:
        put_in(b, at, b->p + (size_t)rng_int(r, (int)at + 1), (size_t)(1 + rng_int(r, 16)) % 8);
        break;
    case 5:
        b->n = rng_int(r, 4) == 0 ? at : b->n;
        break;
    default:
        replace_word(b, at, r);
    }
}

/* The i-th damaged copy of `good`. */
static void damage(const struct buf *good, int i, struct buf *b)
{
    struct rng r = rng_open(11, RNG_TEST, (uint64_t)i, good->n);
    buf_clear(b);
    buf_add(b, good->p, good->n);
    for (int n = 1 + rng_int(&r, 4); n > 0 && b->n > 0; n--) {
        damage_once(b, &r);
    }
    ck_assert(!b->failed);
}

/* ---- readers ---- */

static char dir[] = "/tmp/vov-test-XXXXXX";
static char file[64];

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/input", dir);
}

static void teardown(void)
{
    unlink(file);
    rmdir(dir);
}

static void write_input(const struct buf *b)
{
    FILE *f = fopen(file, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(b->p, 1, b->n, f), b->n);
    ck_assert_int_eq(fclose(f), 0);
}

/* An outcome must be one, and a refusal says why. */
static void check_outcome(enum vov_status status, const struct err *err)
{
    ck_assert_int_eq(status, err->code);
    if (status == VOV_OK) {
        return;
    }
    ck_assert_msg(status == VOV_ECFG || status == VOV_EFORMAT || status == VOV_EUNSUPPORTED ||
                      status == VOV_ESHAPE || status == VOV_ENOMEM || status == VOV_EIO,
                  "status %d: %s", (int)status, err->msg);
    ck_assert_uint_gt(strlen(err->msg), 0);
}

static enum vov_status read_cfg(const struct buf *b, struct err *err)
{
    static char copy[1 << 16];
    const struct model_options opt = {.training = b->n % 2 == 0};
    struct err_list errs = {0};
    struct model m;
    memcpy(copy, b->p, b->n);
    const enum vov_status status = model_build_text("input", copy, b->n, &opt, &m, &errs);
    for (int i = 0; i < errs.n; i++) {
        check_outcome(errs.item[i].code, &errs.item[i]);
    }
    *err = errs.n > 0 ? errs.item[0] : *err;
    model_close(&m);
    return status;
}

static enum vov_status read_json(const struct buf *b, struct err *err)
{
    json *j = NULL;
    const enum vov_status status = json_parse("input", b->p, b->n, &j, err);
    json_free(j);
    return status;
}

static enum vov_status read_coco(const struct buf *b, struct err *err)
{
    const struct dataset_options opt = {.masks = (enum masks)(b->n % 3)};
    struct dataset d;
    write_input(b);
    const enum vov_status status = coco_read(file, &opt, &d, err);
    if (status == VOV_OK) {
        dataset_free(&d);
    }
    return status;
}

static const char coco_text[] =
    "{\"info\":{\"year\":2017},\"licenses\":[],\"images\":[\n"
    "{\"id\":7,\"file_name\":\"a.jpg\",\"width\":40,\"height\":30},\n"
    "{\"id\":9,\"file_name\":\"b.png\",\"width\":64,\"height\":64}],\n"
    "\"annotations\":[\n"
    "{\"id\":1,\"image_id\":7,\"category_id\":3,\"bbox\":[1,2,10.5,8],\"area\":84,\"iscrowd\":0,"
    "\"segmentation\":[[1,2,11,2,11,10,1,10]]},\n"
    "{\"id\":2,\"image_id\":9,\"category_id\":18,\"bbox\":[0,0,8,8],\"area\":9,\"iscrowd\":1,"
    "\"segmentation\":{\"size\":[64,64],\"counts\":[100,20,3976]}},\n"
    "{\"id\":3,\"image_id\":9,\"category_id\":3,\"bbox\":[5,5,3,3],\"area\":9,\"iscrowd\":0,"
    "\"segmentation\":{\"size\":[64,64],\"counts\":\"PP4\"}}],\n"
    "\"categories\":[{\"id\":3,\"name\":\"cat\"},{\"id\":18,\"name\":\"dog\"}]}\n";

/* What is taken is measured against coco_text, by boxes or masks. */
static enum vov_status read_results(const struct buf *b, struct err *err)
{
    const struct dataset_options opt = {.masks = MASKS_KEEP};
    const struct buf good = {.p = (char *)(uintptr_t)coco_text, .n = strlen(coco_text)};
    struct dataset truth;
    struct coco_report report = {0};
    struct result_list r = {0};
    write_input(&good);
    ck_assert_int_eq(coco_read(file, &opt, &truth, NULL), VOV_OK);
    write_input(b);
    enum vov_status status = results_read(file, &r, err);
    if (status == VOV_OK) {
        status = coco_eval(&truth, &r, b->n % 2 == 0, &report, err);
    }
    coco_report_free(&report);
    results_free(&r);
    dataset_free(&truth);
    return status;
}

/* A folder with this annotation in it. */
static enum vov_status read_voc(const struct buf *b, struct err *err)
{
    const struct dataset_options opt = {.masks = MASKS_DROP};
    struct dataset d;
    char xml[sizeof file + 4];
    write_input(b);
    snprintf(xml, sizeof xml, "%s.xml", file);
    ck_assert_int_eq(rename(file, xml), 0);
    const enum vov_status status = voc_read(dir, &opt, &d, err);
    if (status == VOV_OK) {
        dataset_free(&d);
    }
    unlink(xml);
    return status;
}

static enum vov_status read_data_file(const struct buf *b, struct err *err)
{
    struct data_file d = {0};
    write_input(b);
    const enum vov_status status = data_file_read(file, &d, err);
    data_file_free(&d);
    return status;
}

static enum vov_status read_safetensors(const struct buf *b, struct err *err)
{
    struct safetensors st;
    write_input(b);
    const enum vov_status status = safetensors_read(file, &st, err);
    for (int i = 0; status == VOV_OK && i < st.n; i++) {
        real *v = calloc(st.tensor[i].count + 1, sizeof *v);
        struct err second = {0};
        safetensors_numbers(&st.tensor[i], v, &second);
        free(v);
    }
    if (status == VOV_OK) {
        safetensors_free(&st);
    }
    return status;
}

static enum vov_status read_picture(const struct buf *b, struct err *err)
{
    struct image img = {0};
    /* A block of its own: one byte too far is seen. */
    char *copy = malloc(b->n + 1);
    memcpy(copy, b->p, b->n);
    const enum vov_status status = image_decode("input", copy, b->n, NULL, &img, err);
    image_free(&img);
    free(copy);
    return status;
}

/* ---- good inputs ---- */

static const char cfg_text[] =
    "[net]\nwidth=64\nheight=64 # pixels\nclasses=2\nmean=104,117,123\nbatch=4\nsubdivisions=2\n"
    "policy=steps\nsteps=100,200\nscales=.1,.1\n\n"
    "[stem]\nchannels=4,8\nstrides=2,1\n[osa]\nname=s3\nlayers=2\nwidth=4\nout=8\nese=last\n"
    "[convolutional]\nfilters=8\nsize=3\nstride=2\npad=1\nbatch_normalize=1\nactivation=leaky\n"
    "[dense]\nlayers=2\ngrowth=4\n[transition]\nout=8\npool=0\n"
    "[shortcut]\nfrom=-3\nactivation=relu\n[route]\nlayers=-1,-2\ngroups=2\ngroup_id=1\n"
    "[bottleneck]\nname=s4\nwidth=4\nrepeat=2\n[maxpool]\nsize=2\nstride=2\n[dropout]\n"
    "[tcb]\nname=p4\nfrom=s4\nchannels=8\n[tcb]\nname=p3\nfrom=s3\ntop=p4\nchannels=8\n"
    "[refinedet]\narm=s3,s4\nodm=p3,p4\n";

static const char json_text[] =
    "{\"a\": [1, -2.5e3, true, null, \"text \\u00e9\\n\"], \"b\": {\"c\": {}, \"d\": []},\n"
    " \"long\": 123456789012345678901234567890, \"\\\"\": \"\xc3\xa9\"}\n";

static const char results_text[] =
    "[{\"image_id\":7,\"category_id\":3,\"bbox\":[1,2,3.5,4],\"score\":0.9},\n"
    "{\"image_id\":9,\"category_id\":18,\"segmentation\":{\"size\":[64,64],\"counts\":\"PP4\"},"
    "\"score\":1e-3},\n"
    "{\"image_id\":9,\"category_id\":18,\"bbox\":[0,0,1e2,5],\"score\":0.25,"
    "\"segmentation\":[[1,2,11,2,11,10,1,10],[1,1,5,1,5,5]]}]\n";

static const char voc_text[] =
    "<?xml version=\"1.0\"?>\n<annotation>\n<filename>a.png</filename>\n"
    "<size><width>32</width><height>24</height><depth>3</depth></size>\n"
    "<object><name>cat</name><difficult>0</difficult><part><name>head</name></part>"
    "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9.5</xmax><ymax>20</ymax></bndbox></object>\n"
    "<object><name>d&amp;g</name><bndbox><xmin>3</xmin><ymin>3</ymin><xmax>30</xmax>"
    "<ymax>8</ymax></bndbox></object>\n</annotation>\n";

static const char data_text[] = "# a set\ntrain = train.json\nvalid=val.json\n"
                                "images = pictures\nclasses = cat, dog\n";

static void good_picture(struct buf *b, bool png)
{
    static uint8_t rgb[24 * 17 * 3];
    const struct image img = {.rgb = rgb, .width = 24, .height = 17};
    struct err err = {0};
    for (size_t i = 0; i < sizeof rgb; i++) {
        rgb[i] = (uint8_t)(i * 37 % 251);
    }
    ck_assert((png ? codec_png_write("good", &img, b, &err)
                   : codec_jpeg_write("good", &img, 80, b, &err)) == VOV_OK);
}

static void get_numbers(const void *user, const struct st_source *s, real *out)
{
    (void)user;
    for (size_t i = 0; i < s->dim[0] * s->dim[1]; i++) {
        out[i] = (real)i;
    }
}

static void good_safetensors(struct buf *b)
{
    const struct st_source source[] = {
        {.name = "conv1/weight", .dim = {2, 6}, .rank = 2, .get = get_numbers},
        {.name = "bias", .dim = {3, 1}, .rank = 2, .get = get_numbers},
    };
    struct map meta = {0};
    struct err err = {0};
    static char seed[] = "17";
    ck_assert(map_put(&meta, "seed", seed));
    ck_assert_msg(safetensors_write(file, source, 2, &meta, &err) == VOV_OK, "%s", err.msg);
    ck_assert(file_read(file, 1 << 20, b, &err) == VOV_OK);
    map_free(&meta);
}

static void good_input(const char *kind, const char *text, struct buf *b)
{
    if (strcmp(kind, "png") == 0 || strcmp(kind, "jpeg") == 0) {
        good_picture(b, kind[0] == 'p');
    } else if (strcmp(kind, "safetensors") == 0) {
        good_safetensors(b);
    } else {
        buf_puts(b, text);
    }
}

static const struct {
    const char *kind, *text;
    enum vov_status (*read)(const struct buf *b, struct err *err);
    int times;
} readers[] = {
    {"cfg", cfg_text, read_cfg, 4000},          {"json", json_text, read_json, 8000},
    {"coco", coco_text, read_coco, 4000},       {"results", results_text, read_results, 4000},
    {".data", data_text, read_data_file, 2000}, {"safetensors", NULL, read_safetensors, 4000},
    {"voc", voc_text, read_voc, 4000},          {"png", NULL, read_picture, 4000},
    {"jpeg", NULL, read_picture, 4000},
};

START_TEST(damaged)
{
    struct buf good = {0}, b = {0};
    struct err err = {0};
    int refused = 0;
    good_input(readers[_i].kind, readers[_i].text, &good);
    ck_assert_msg(readers[_i].read(&good, &err) == VOV_OK, "%s: %s", readers[_i].kind, err.msg);
    for (int i = 0; i < readers[_i].times; i++) {
        err = (struct err){0};
        damage(&good, i, &b);
        check_outcome(readers[_i].read(&b, &err), &err);
        refused += err.code != VOV_OK;
    }
    ck_assert_msg(refused > readers[_i].times / 20 && refused < readers[_i].times, "%s: %d refused",
                  readers[_i].kind, refused);
    buf_free(&good);
    buf_free(&b);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("mutations");
    Suite *suite = suite_create("mutations");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, damaged, 0, (int)(sizeof readers / sizeof readers[0]));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
