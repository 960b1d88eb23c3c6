/*
 * ranges.c - what NVTX loads in a profiler's place (NVTX_INJECTION64_PATH): writes each range that
 * is opened into the file VOV_TEST_RANGES, a space before it for each one that it is in, and at the
 * end how many were left open and how many were closed that nobody had opened.
 */
#include <nvtx3/nvToolsExt.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *out;
static int depth, unopened;

static int push(const char *name)
{
    fprintf(out, "%*s%s\n", depth, "", name);
    return depth++;
}

static int pop(void)
{
    if (depth == 0) {
        return unopened++, -1;
    }
    return --depth;
}

static void end(void)
{
    fprintf(out, "%d left open, %d closed too often\n", depth, unopened);
    fclose(out);
}

/* NVTX calls it once and takes our functions for its own. */
int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get);
int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get)
{
    const NvtxExportTableCallbacks *callbacks = get(NVTX_ETID_CALLBACKS);
    NvtxFunctionTable table;
    unsigned n;
    const char *path = getenv("VOV_TEST_RANGES");
    if (callbacks == NULL || path == NULL ||
        !callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE, &table, &n) ||
        n <= NVTX_CBID_CORE_RangePop) {
        return 0;
    }
    out = fopen(path, "w");
    if (out == NULL) {
        return 0;
    }
    atexit(end);
    *table[NVTX_CBID_CORE_RangePushA] = (NvtxFunctionPointer)push;
    *table[NVTX_CBID_CORE_RangePop] = (NvtxFunctionPointer)pop;
    return 1;
}
