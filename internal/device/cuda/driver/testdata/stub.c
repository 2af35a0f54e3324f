// Stand-ins for NVIDIA's libraries, for tests of the calls into them: memory of the card is memory of the process, one kernel is known
// (fill), a plan of cuDNN writes 42 to the first value of its result. STUB_CUDA, STUB_NVRTC or STUB_CUDNN says which library this becomes.
// The variable UC_STUB of the environment chooses a way to fail.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int mode(const char *name) {
    const char *m = getenv("UC_STUB");
    return m && !strcmp(m, name);
}

#ifdef STUB_CUDA
#define CONTEXT ((void *)0x1234)
static __thread void *current;
static long allocated, limit = 1 << 30;
#define NEED_CONTEXT if (current != CONTEXT) return 201
int cuInit(unsigned f) {
    if (mode("crash")) abort();
    if (mode("hang")) sleep(600);
    return mode("no card") ? 100 : f;
}
int cuDriverGetVersion(int *v) { *v = mode("old") ? 11080 : mode("cuda 12") ? 12040 : 13020; return 0; }
int cuDeviceGetCount(int *n) { *n = 1; return 0; }
int cuDeviceGet(int *d, int i) { *d = i + 7; return i == 0 ? 0 : 101; }
int cuDeviceGetName(char *s, int n, int d) { snprintf(s, n, "Stub %d", d); return 0; }
int cuDeviceTotalMem_v2(size_t *b, int d) { *b = limit; return d == 7 ? 0 : 101; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 16 ? 10 : a == 75 ? 9 : a == 76 ? 0 : -1; return d == 7 ? 0 : 101; }
int cuDevicePrimaryCtxRetain(void **c, int d) { *c = CONTEXT; return d == 7 ? 0 : 101; }
int cuDevicePrimaryCtxRelease_v2(int d) { return d == 7 ? 0 : 101; }
int cuCtxSetCurrent(void *c) { current = c; return 0; }
int cuMemAlloc_v2(uint64_t *p, size_t n) {
    NEED_CONTEXT;
    if (allocated + (long)n > limit) return 2;
    size_t *m = malloc(n + 64);
    *m = n;
    __sync_fetch_and_add(&allocated, (long)n);
    memset(m + 8, 0xff, n);
    *p = (uint64_t)(m + 8);
    return 0;
}
int cuMemFree_v2(uint64_t p) { NEED_CONTEXT; size_t *m = (size_t *)p - 8; __sync_fetch_and_sub(&allocated, (long)*m); free(m); return 0; }
int cuMemGetInfo_v2(size_t *f, size_t *t) { NEED_CONTEXT; *f = limit - allocated; *t = limit; return 0; }
int cuMemHostAlloc(void **p, size_t n, unsigned f) { NEED_CONTEXT; *p = malloc(n); return f; }
int cuMemFreeHost(void *p) { NEED_CONTEXT; free(p); return 0; }
int cuMemcpyHtoDAsync_v2(uint64_t d, const void *s, size_t n, void *st) { NEED_CONTEXT; memcpy((void *)d, s, n); return st ? 0 : 1; }
int cuMemcpyDtoHAsync_v2(void *d, uint64_t s, size_t n, void *st) { NEED_CONTEXT; memcpy(d, (void *)s, n); return st ? 0 : 1; }
int cuMemcpyDtoDAsync_v2(uint64_t d, uint64_t s, size_t n, void *st) { NEED_CONTEXT; memcpy((void *)d, (void *)s, n); return st ? 0 : 1; }
int cuMemsetD8Async(uint64_t d, unsigned char v, size_t n, void *st) { NEED_CONTEXT; memset((void *)d, v, n); return st ? 0 : 1; }
int cuStreamCreate(void **s, unsigned f) { NEED_CONTEXT; *s = malloc(1); return f == 1 ? 0 : 1; }
int cuStreamSynchronize(void *s) { NEED_CONTEXT; return s ? mode("lost") ? 719 : 0 : 1; }
int cuStreamDestroy_v2(void *s) { NEED_CONTEXT; free(s); return 0; }
int cuStreamWaitEvent(void *s, void *e, unsigned f) { NEED_CONTEXT; return s && e ? (int)f : 1; }
int cuEventCreate(void **e, unsigned f) { NEED_CONTEXT; *e = calloc(1, sizeof(double)); return f == 0 || f == 2 ? 0 : 1; }
int cuEventRecord(double *e, void *s) { NEED_CONTEXT; static double clock; *e = clock += 1.5; return s ? 0 : 1; }
int cuEventSynchronize(void *e) { NEED_CONTEXT; return e ? 0 : 1; }
int cuEventElapsedTime(float *ms, double *a, double *b) { NEED_CONTEXT; *ms = *b - *a; return 0; }
int cuEventDestroy_v2(void *e) { NEED_CONTEXT; free(e); return 0; }
int cuModuleLoadData(void **m, const char *image) { NEED_CONTEXT; *m = strdup(image); return strncmp(image, "CUBIN", 5) ? 200 : 0; }
int cuModuleGetFunction(void **f, void *m, const char *name) { NEED_CONTEXT; *f = strdup(name); return m && strcmp(name, "missing") ? 0 : 500; }
int cuModuleUnload(void *m) { NEED_CONTEXT; free(m); return 0; }
static unsigned allowed = 48 << 10;
int cuFuncSetAttribute(char *f, int a, int v) { NEED_CONTEXT; allowed = v; return f && a == 8 ? 0 : 1; }
typedef struct { int n; float *dst[8], value[8]; int count[8]; } Graph; // of launches of fill
static Graph *capture;
int cuStreamBeginCapture_v2(void *s, int relaxed) { NEED_CONTEXT; capture = calloc(1, sizeof *capture); return s && relaxed == 2 ? 0 : 1; }
int cuStreamEndCapture(void *s, Graph **g) { NEED_CONTEXT; *g = capture; capture = 0; return mode("no capture") ? 901 : s ? 0 : 1; }
int cuGraphInstantiateWithFlags(Graph **e, Graph *g, unsigned long long f) { NEED_CONTEXT; *e = malloc(sizeof *g); memcpy(*e, g, sizeof *g); return (int)f; }
int cuGraphDestroy(Graph *g) { NEED_CONTEXT; free(g); return 0; }
int cuGraphExecDestroy(Graph *e) { NEED_CONTEXT; free(e); return 0; }
int cuGraphLaunch(Graph *e, void *s) {
    NEED_CONTEXT;
    for (int k = 0; k < e->n; k++)
        for (int i = 0; i < e->count[k]; i++) e->dst[k][i] = e->value[k];
    return s ? 0 : 1;
}
int cuLaunchKernel(char *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *s, void **p, void **extra) {
    NEED_CONTEXT;
    if (!s || extra || shared > allowed || by != 1 || bz != 1 || gy != 1 || gz != 1) return 1;
    if (strcmp(f, "fill")) return 719;
    float *dst = *(float **)p[0], value = *(float *)p[2];
    int n = *(int *)p[1];
    if (capture) {
        if (capture->n == 8 || mode("no capture")) return 901;
        capture->dst[capture->n] = dst, capture->value[capture->n] = value, capture->count[capture->n++] = n;
        return 0;
    }
    for (unsigned i = 0; i < gx * bx; i++)
        if ((int)i < n) dst[i] = value;
    return 0;
}
int cuGetErrorName(int e, const char **s) { *s = e == 719 ? "CUDA_ERROR_LAUNCH_FAILED" : e == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_OTHER"; return 0; }
int cuGetErrorString(int e, const char **s) { *s = e == 719 ? "unspecified launch failure" : e == 2 ? "out of memory" : "other"; return 0; }
#endif

#ifdef STUB_NVRTC
static char made[4096];
int nvrtcVersion(int *a, int *b) { *a = 13; *b = 1; return 0; }
int nvrtcGetNumSupportedArchs(int *n) { *n = 3; return 0; }
int nvrtcGetSupportedArchs(int *a) { a[0] = 75, a[1] = 80, a[2] = 90; return 0; }
int nvrtcCreateProgram(void **p, const char *src, const char *name, int n, const char **h, const char **i) { *p = strdup(src); return n || h || i || !*name; }
int nvrtcDestroyProgram(void **p) { free(*p); *p = 0; return 0; }
int nvrtcCompileProgram(char *p, int n, const char **o) {
    if (strstr(p, "#error")) return 6;
    strcpy(made, "CUBIN");
    for (int i = 0; i < n; i++) strcat(strcat(made, " "), o[i]);
    return 0;
}
int nvrtcGetPTXSize(void *p, size_t *n) { *n = strlen(made) + 1; return !p; }
int nvrtcGetPTX(void *p, char *s) { strcpy(s, made); return !p; }
int nvrtcGetCUBINSize(void *p, size_t *n) { *n = strlen(made) + 1; return !p; }
int nvrtcGetCUBIN(void *p, char *s) { strcpy(s, made); return !p; }
int nvrtcGetProgramLogSize(void *p, size_t *n) { *n = 16; return !p; }
int nvrtcGetProgramLog(void *p, char *s) { strcpy(s, "uc.cu(1): wrong"); return !p; }
const char *nvrtcGetErrorString(int e) { return e == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR"; }
#endif

#ifdef STUB_CUDNN
typedef struct { int type, final, mode; void *pointers[8]; int pointerCount; void *workspace; void *plan; } Desc;
static void *stream;
size_t cudnnGetVersion(void) { return mode("old cudnn") ? 8907 : 92600; }
size_t cudnnGetCudartVersion(void) { return 13040; }
int cudnnCreate(void **h) { *h = (void *)0x77; return 0; }
int cudnnDestroy(void *h) { return h != (void *)0x77; }
int cudnnSetStream(void *h, void *s) { stream = s; return h != (void *)0x77; }
const char *cudnnGetErrorString(int s) { return s == 3000 ? "CUDNN_STATUS_NOT_SUPPORTED" : "CUDNN_STATUS_OTHER"; }
void cudnnGetLastErrorString(char *s, size_t n) { snprintf(s, n, "no engine"); }
int cudnnBackendCreateDescriptor(int type, void **d) { Desc *n = calloc(1, sizeof *n); n->type = type; n->plan = n; *d = n; return 0; }
int cudnnBackendDestroyDescriptor(void *d) { free(d); return 0; }
int cudnnBackendFinalize(Desc *d) {
    if (d->type == 5 && d->mode == 0) return 3000; // the first candidate cannot be built
    d->final = 1;
    return 0;
}
int cudnnBackendSetAttribute(Desc *d, int name, int type, int64_t n, void *v) {
    if (d->final) return 2000;
    if (name == 200 && type == 8) d->mode = *(int *)v;                      // mode of the heuristics
    if (name == 401) d->mode = (*(Desc **)v)->mode;                         // a plan's configuration
    if (name == 1001 && type == 6) memcpy(d->pointers, v, n * sizeof(void *)), d->pointerCount = n;
    if (name == 1003 && n == 1) d->workspace = *(void **)v;
    return 0;
}
int cudnnBackendGetAttribute(Desc *d, int name, int type, int64_t room, int64_t *n, void *v) {
    if (!d->final && d->type != 3 && d->type != 2) return 2004;
    switch (name) {
    case 202: // results: two of mode A, one of the others
        *n = d->mode == 3 ? 2 : 1;
        for (int i = 0; i < room && i < *n; i++) ((Desc **)v)[i]->mode = d->mode == 3 ? i : 4;
        return 0;
    case 300: (*(Desc **)v)->mode = d->mode; return 0;
    case 1303: // notes: of the last candidate that it rounds
        *n = d->mode == 4 ? 1 : 0;
        if (*n && room > 0) *(int *)v = 2;
        return 0;
    case 402: *n = 1; *(int64_t *)v = 1000; return 0;
    }
    return 2000;
}
int cudnnBackendExecute(void *h, Desc *plan, Desc *pack) {
    if (h != (void *)0x77 || !stream || !plan->final || !pack->final || pack->pointerCount < 3 || !pack->workspace) return 5000;
    *(float *)pack->pointers[2] = 42;
    return 0;
}
#endif
