/* MD5 (RFC 1321) of several streams at once, for x86-64.

   The steps of one MD5 depend on each other, so a core hashes one stream no faster than 0.7 GiB/s; but one vector
   register holds 8 (AVX2) or 16 (AVX-512) streams, each in a lane of its own. With AVX2, the steps of two registers
   overlap: 16 streams take a third more time than 8. A single stream takes the scalar way.

   Called through ctypes by md5_lanes.py, which checks what comes out against hashlib before it trusts any of it. */

#include "md5_lanes.h"

#include <immintrin.h>
#include <string.h>

typedef uint32_t lanes8 __attribute__((vector_size(32)));
typedef uint32_t lanes16 __attribute__((vector_size(64)));

/* G's two halves never share a bit, so they can be added: one of them is then off the longest path. */
#define F(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define G(x, y, z) (((x) & (z)) + ((y) & ~(z)))
#define H(x, y, z) ((x) ^ (y) ^ (z))
#define I(x, y, z) ((y) ^ ((x) | ~(z)))

#define STEP(f, a, b, c, d, k, constant, shift)      \
    a += f(b, c, d) + (w[k] + (uint32_t)(constant)); \
    a = ((a << (shift)) | (a >> (32 - (shift)))) + b;

#define FOUR(f, i, j, k, l, p, q, r, s, ti, tj, tk, tl) \
    STEP(f, a, b, c, d, i, ti, p)                       \
    STEP(f, d, a, b, c, j, tj, q)                       \
    STEP(f, c, d, a, b, k, tk, r)                       \
    STEP(f, b, c, d, a, l, tl, s)

/* One block: a, b, c, d and the words w[16] are numbers, or vectors of them with one stream a lane. */
#define BLOCK_STEPS                                                                               \
    FOUR(F, 0, 1, 2, 3, 7, 12, 17, 22, 0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee)            \
    FOUR(F, 4, 5, 6, 7, 7, 12, 17, 22, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501)            \
    FOUR(F, 8, 9, 10, 11, 7, 12, 17, 22, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be)          \
    FOUR(F, 12, 13, 14, 15, 7, 12, 17, 22, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821)        \
    FOUR(G, 1, 6, 11, 0, 5, 9, 14, 20, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa)            \
    FOUR(G, 5, 10, 15, 4, 5, 9, 14, 20, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8)           \
    FOUR(G, 9, 14, 3, 8, 5, 9, 14, 20, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed)            \
    FOUR(G, 13, 2, 7, 12, 5, 9, 14, 20, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a)           \
    FOUR(H, 5, 8, 11, 14, 4, 11, 16, 23, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c)          \
    FOUR(H, 1, 4, 7, 10, 4, 11, 16, 23, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70)           \
    FOUR(H, 13, 0, 3, 6, 4, 11, 16, 23, 0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05)           \
    FOUR(H, 9, 12, 15, 2, 4, 11, 16, 23, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665)          \
    FOUR(I, 0, 7, 14, 5, 6, 10, 15, 21, 0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039)           \
    FOUR(I, 12, 3, 10, 1, 6, 10, 15, 21, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1)          \
    FOUR(I, 8, 15, 6, 13, 6, 10, 15, 21, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1)          \
    FOUR(I, 4, 11, 2, 9, 6, 10, 15, 21, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391)

static void hash_one(uint32_t *state, const uint8_t *data, size_t blocks) {
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    for (; blocks; blocks--, data += BLOCK) {
        uint32_t w[16], a0 = a, b0 = b, c0 = c, d0 = d;
        memcpy(w, data, BLOCK);
        BLOCK_STEPS
        a += a0, b += b0, c += c0, d += d0;
    }
    state[0] = a, state[1] = b, state[2] = c, state[3] = d;
}

/* Turns 8 words of each of 8 streams into 8 vectors: vector i holds word i of every stream. */
__attribute__((target("avx2"), always_inline)) static inline void load8(lanes8 *w, const uint8_t *const *data,
                                                                        size_t at) {
    __m256i r[8], t[8];
    for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_si256((const __m256i *)(data[i] + at));
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        w[i] = (lanes8)_mm256_permute2x128_si256(r[i], r[i + 4], 0x20);
        w[i + 4] = (lanes8)_mm256_permute2x128_si256(r[i], r[i + 4], 0x31);
    }
}

__attribute__((target("avx2"), always_inline)) static inline void load_block8(lanes8 *w, const uint8_t *const *data,
                                                                              size_t at) {
    load8(w, data, at);
    load8(w + 8, data, at + BLOCK / 2);
}

__attribute__((target("avx2"), always_inline)) static inline void load_block16_avx2(
    lanes16 *w, const uint8_t *const *data, size_t at) {
    lanes8 low[16], high[16];
    load_block8(low, data, at);
    load_block8(high, data + 8, at);
    for (int i = 0; i < 16; i++) {
        memcpy(&w[i], &low[i], sizeof low[i]);
        memcpy((uint8_t *)&w[i] + sizeof low[i], &high[i], sizeof high[i]);
    }
}

__attribute__((target("avx512f,avx512vl,avx2"), always_inline)) static inline void load_block16(
    lanes16 *w, const uint8_t *const *data, size_t at) {
    lanes8 low[16], high[16];
    load_block8(low, data, at);
    load_block8(high, data + 8, at);
    for (int i = 0; i < 16; i++)
        w[i] = (lanes16)_mm512_inserti64x4(_mm512_castsi256_si512((__m256i)low[i]), (__m256i)high[i], 1);
}

/* states: four vectors a, b, c, d. data: as many pointers as there are lanes, each to so many blocks. */
#define DEFINE_HASH_LANES(name, extensions, vector, load_block)                                               \
    __attribute__((target(extensions))) static void name(uint32_t (*states)[MAX_LANES],                       \
                                                         const uint8_t *const *data, size_t blocks) {         \
        vector a, b, c, d;                                                                                    \
        memcpy(&a, states[0], sizeof a), memcpy(&b, states[1], sizeof b);                                     \
        memcpy(&c, states[2], sizeof c), memcpy(&d, states[3], sizeof d);                                     \
        for (size_t at = 0; at < blocks * BLOCK; at += BLOCK) {                                               \
            vector w[16], a0 = a, b0 = b, c0 = c, d0 = d;                                                     \
            load_block(w, data, at);                                                                          \
            BLOCK_STEPS                                                                                       \
            a += a0, b += b0, c += c0, d += d0;                                                               \
        }                                                                                                     \
        memcpy(states[0], &a, sizeof a), memcpy(states[1], &b, sizeof b);                                     \
        memcpy(states[2], &c, sizeof c), memcpy(states[3], &d, sizeof d);                                     \
    }

DEFINE_HASH_LANES(hash_8, "avx2", lanes8, load_block8)
DEFINE_HASH_LANES(hash_16_avx2, "avx2", lanes16, load_block16_avx2)
DEFINE_HASH_LANES(hash_8_avx512, "avx512f,avx512vl,avx2", lanes8, load_block8) /* rotates in one instruction */
DEFINE_HASH_LANES(hash_16, "avx512f,avx512vl,avx2", lanes16, load_block16)

int md5_lanes(void) { return __builtin_cpu_supports("avx2") ? MAX_LANES : 1; }

static int has_avx512(void) { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"); }

size_t md5_stream_bytes(void) { return sizeof(md5_stream); }

void md5_start(md5_stream *stream) {
    static const uint32_t initial[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    memset(stream, 0, sizeof *stream);
    memcpy(stream->state, initial, sizeof initial);
}

/* Fills up the pending block, as far as the data goes; returns the bytes taken. */
static size_t fill_pending(md5_stream *stream, const uint8_t *data, size_t size) {
    size_t room = BLOCK - stream->pending_bytes, taken = size < room ? size : room;
    memcpy(stream->pending + stream->pending_bytes, data, taken);
    stream->pending_bytes += taken;
    if (stream->pending_bytes == BLOCK) {
        hash_one(stream->state, stream->pending, 1);
        stream->pending_bytes = 0;
    }
    return taken;
}

/* Hashes so many blocks of each of at most md5_lanes() streams. */
static void hash_blocks(md5_stream **streams, const uint8_t **data, int count, size_t blocks) {
    if (count == 1) {
        hash_one(streams[0]->state, data[0], blocks);
        return;
    }
    uint32_t states[4][MAX_LANES] = {{0}};
    const uint8_t *lane_data[MAX_LANES];
    for (int lane = 0; lane < MAX_LANES; lane++) lane_data[lane] = data[lane < count ? lane : 0]; /* idle ones copy */
    for (int lane = 0; lane < count; lane++)
        for (int word = 0; word < 4; word++) states[word][lane] = streams[lane]->state[word];
    (has_avx512() ? count > 8 ? hash_16 : hash_8_avx512 : count > 8 ? hash_16_avx2 : hash_8)(states, lane_data, blocks);
    for (int lane = 0; lane < count; lane++)
        for (int word = 0; word < 4; word++) streams[lane]->state[word] = states[word][lane];
}

void md5_update(md5_stream *const *streams, const uint8_t *const *data, const size_t *sizes, int count) {
    md5_stream *active[MAX_LANES];
    const uint8_t *next[MAX_LANES];
    size_t left[MAX_LANES];
    int running = 0;
    for (int i = 0; i < count; i++) {
        size_t taken = streams[i]->pending_bytes ? fill_pending(streams[i], data[i], sizes[i]) : 0;
        streams[i]->total_bytes += sizes[i];
        active[running] = streams[i], next[running] = data[i] + taken, left[running++] = sizes[i] - taken;
    }
    while (running) {
        size_t blocks = SIZE_MAX;
        int kept = 0;
        for (int i = 0; i < running; i++) { /* those that have no whole block left leave */
            if (left[i] < BLOCK) {
                if (left[i]) fill_pending(active[i], next[i], left[i]);
                continue;
            }
            if (left[i] / BLOCK < blocks) blocks = left[i] / BLOCK;
            active[kept] = active[i], next[kept] = next[i], left[kept++] = left[i];
        }
        running = kept;
        if (running) hash_blocks(active, next, running, blocks);
        for (int i = 0; i < running; i++) next[i] += blocks * BLOCK, left[i] -= blocks * BLOCK;
    }
}

void md5_digest(const md5_stream *stream, uint8_t *digest) {
    uint8_t last[2 * BLOCK] = {0};
    uint32_t state[4];
    uint64_t total_bits = stream->total_bytes * 8;
    size_t size = stream->pending_bytes < BLOCK - sizeof total_bits ? BLOCK : 2 * BLOCK;
    memcpy(last, stream->pending, stream->pending_bytes);
    last[stream->pending_bytes] = 0x80;
    memcpy(last + size - sizeof total_bits, &total_bits, sizeof total_bits);
    memcpy(state, stream->state, sizeof state);
    hash_one(state, last, size / BLOCK);
    memcpy(digest, state, sizeof state);
}
