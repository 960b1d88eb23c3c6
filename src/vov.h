/*
 * vov.h - the whole public interface of libvov.
 *
 * Opaque handles; no globals, nothing printed, no exit. A function that can fail returns a status
 * and fills *error when the caller gave one. A handle serves one thread at a time; different
 * handles may serve different threads.
 */
#ifndef VOV_H
#define VOV_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VOV_API __attribute__((visibility("default")))

enum vov_status {
    VOV_OK = 0,
    VOV_ECFG,         /* the cfg is wrong, and error->line says where, or cannot be read */
    VOV_ESHAPE,       /* tensors do not fit together */
    VOV_EFORMAT,      /* a weights or annotation file, or a picture, is damaged or cannot be read */
    VOV_EIO,          /* the system refused a file operation */
    VOV_ENOMEM,       /* host or device memory ran out, or a plan does not fit into it */
    VOV_ENONFINITE,   /* a loss, a gradient or an output is NaN or infinite */
    VOV_EDEVICE,      /* a kernel, a driver or a vendor library failed */
    VOV_EUNSUPPORTED, /* well formed, but not built in or not written */
    VOV_EARG,         /* the caller broke the contract of this header */
    VOV_EINTERRUPTED, /* the caller asked to stop */
};

struct vov_error {
    enum vov_status code;
    int line, column; /* 0 when no text file is to blame */
    char file[200];
    char text[400];
};

struct vov_options {
    size_t size;        /* sizeof(struct vov_options): lets it grow without breaking callers */
    const char *device; /* "cpu"; NULL for the best there is */
    int batch;          /* images in one call; 0 for 1 */
    int threads;        /* 0 for all cores */
    void (*log)(void *user, int level, const char *text);
    void *user;
};

struct vov_image { /* 8-bit pixels, R G B or grey, borrowed for the call */
    const uint8_t *pixels;
    int width, height, channels;
    size_t row_bytes;
};

struct vov_detection {
    float x0, y0, x1, y1; /* in pixels of the image that was given */
    float score;          /* 0..1 */
    int class_id;         /* from 0, as vov_class_name counts */
    /* Of a network that finds masks, else NULL: mask_height rows of mask_width bytes, 1 where a
     * pixel is the object's, for the pixels from column (int)x0, row (int)y0 on that the box
     * touches. */
    const uint8_t *mask;
    int mask_width, mask_height;
};

typedef struct vov_model vov_model;
typedef struct vov_result vov_result;

/*
 * Opens the network of the file `cfg` with the weights of the file `weights` (NULL: random ones,
 * for timing). The handle goes into *model, NULL on failure.
 */
VOV_API enum vov_status vov_open(vov_model **model, const char *cfg, const char *weights,
                                 const struct vov_options *options, struct vov_error *error);
VOV_API void vov_close(vov_model *model);                                 /* NULL is fine */
VOV_API const char *vov_class_name(const vov_model *model, int class_id); /* NULL past the last */

/* Finds objects in n images. *result is the caller's, freed by vov_result_free. */
VOV_API enum vov_status vov_detect(vov_model *model, const struct vov_image *images, int n,
                                   float min_score, vov_result **result, struct vov_error *error);
VOV_API size_t vov_result_count(const vov_result *result, int image);
VOV_API const struct vov_detection *vov_result_get(const vov_result *result, int image, size_t i);
VOV_API void vov_result_free(vov_result *result);

/* For all that is not detection: named tensors, dense floats in NCHW order. */
VOV_API enum vov_status vov_set_input(vov_model *model, const char *name, const float *data,
                                      const int shape[4], struct vov_error *error);
VOV_API enum vov_status vov_run(vov_model *model, struct vov_error *error);
VOV_API enum vov_status vov_get_output(vov_model *model, const char *name, const float **data,
                                       int shape[4], struct vov_error *error);

#ifdef __cplusplus
}
#endif
#endif
