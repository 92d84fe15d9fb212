/* The packing loop without an interpreter: read files, SHA-256 of each shard, write it. For measuring only.
 *
 *     loop PLAN OUT SLICE STREAMS STEPS
 *
 * PLAN has a line "size path" for each file, and an empty line after each shard. STEPS is made of the letters r (read
 * the files), h (hash) and w (write to OUT/0, OUT/1, ...). So many shards as there are STREAMS are filled, hashed and
 * written side by side: 1 or 2 with the SHA instructions of x86-64, 8 or 16 in the lanes of vectors (AVX-512).
 * It prints its times and the digests as JSON. */
#define MOST 16
#define _GNU_SOURCE
#include <fcntl.h>
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

typedef struct { long size; char *path; } File;
typedef struct {
    File *files;              /* the shard's, up to one without a path */
    int file, out, ended;
    long left;                /* bytes of the open file that are not read yet */
    uint8_t *buffer;
    size_t held, total;
    uint32_t state[8];
} Shard;

static size_t slice;
static int reads, hashes, writes;
static void fail(const char *what) { perror(what); exit(1); }

/* So many blocks of 64 bytes for n streams at once: what waits for the one's result is filled with the other's work. */
static inline __attribute__((always_inline)) void blocks(Shard **shards, size_t from, size_t count, const int n) {
    const __m128i big = _mm_set_epi64x(0x0c0d0e0f08090a0bULL, 0x0405060700010203ULL);
    __m128i one[2], two[2], kept_one[2], kept_two[2], w[2][4];
    for (int s = 0; s < n; s++) {
        __m128i dcba = _mm_shuffle_epi32(_mm_loadu_si128((__m128i *)shards[s]->state), 0xB1);
        __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128((__m128i *)(shards[s]->state + 4)), 0x1B);
        one[s] = _mm_alignr_epi8(dcba, hgfe, 8);
        two[s] = _mm_blend_epi16(hgfe, dcba, 0xF0);
    }
    for (size_t at = from; at < from + count * 64; at += 64) {
        for (int s = 0; s < n; s++) {
            kept_one[s] = one[s], kept_two[s] = two[s];
            for (int i = 0; i < 4; i++)
                w[s][i] = _mm_shuffle_epi8(_mm_loadu_si128((__m128i *)(shards[s]->buffer + at + 16 * i)), big);
        }
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
#pragma GCC unroll 2
            for (int s = 0; s < n; s++) {
                __m128i *m = w[s], added = _mm_add_epi32(m[i & 3], _mm_loadu_si128((const __m128i *)(K + 4 * i)));
                two[s] = _mm_sha256rnds2_epu32(two[s], one[s], added);
                one[s] = _mm_sha256rnds2_epu32(one[s], two[s], _mm_shuffle_epi32(added, 0x0E));
                if (i < 12) {
                    __m128i next = _mm_sha256msg1_epu32(m[i & 3], m[(i + 1) & 3]);
                    next = _mm_add_epi32(next, _mm_alignr_epi8(m[(i + 3) & 3], m[(i + 2) & 3], 4));
                    m[i & 3] = _mm_sha256msg2_epu32(next, m[(i + 3) & 3]);
                }
            }
        for (int s = 0; s < n; s++) {
            one[s] = _mm_add_epi32(one[s], kept_one[s]);
            two[s] = _mm_add_epi32(two[s], kept_two[s]);
        }
    }
    for (int s = 0; s < n; s++) {
        __m128i feba = _mm_shuffle_epi32(one[s], 0x1B), dchg = _mm_shuffle_epi32(two[s], 0xB1);
        _mm_storeu_si128((__m128i *)shards[s]->state, _mm_blend_epi16(feba, dchg, 0xF0));
        _mm_storeu_si128((__m128i *)(shards[s]->state + 4), _mm_alignr_epi8(dchg, feba, 8));
    }
}

static __attribute__((noinline)) void single(Shard **s, size_t from, size_t count) { blocks(s, from, count, 1); }
static __attribute__((noinline)) void twin(Shard **s, size_t from, size_t count) { blocks(s, from, count, 2); }

/* The same in the lanes of vectors, one for each stream, with rotations and logic that AVX-512 has. */
#define LANES(name, n)                                                                                                \
    typedef uint32_t name##_lanes __attribute__((vector_size(4 * n)));                                                \
    static __attribute__((noinline, target("avx512f,avx512bw,avx512vl,prefer-vector-width=512")))                     \
    void name(Shard **shards, size_t from, size_t count) {                                                            \
        typedef name##_lanes V;                                                                                       \
        V state[8], w[16], v[8];                                                                                      \
        for (int i = 0; i < 8; i++)                                                                                   \
            for (int s = 0; s < n; s++) state[i][s] = shards[s]->state[i];                                            \
        for (size_t at = from; at < from + count * 64; at += 64) {                                                    \
            uint32_t words[16][n] __attribute__((aligned(64)));                                                       \
            for (int s = 0; s < n; s++) {                                                                             \
                uint32_t block[16];                                                                                   \
                memcpy(block, shards[s]->buffer + at, 64);                                                            \
                for (int i = 0; i < 16; i++) words[i][s] = __builtin_bswap32(block[i]);                               \
            }                                                                                                         \
            memcpy(w, words, sizeof w);                                                                               \
            memcpy(v, state, sizeof v);                                                                               \
            _Pragma("GCC unroll 64") for (int i = 0; i < 64; i++) {                                                   \
                if (i >= 16) {                                                                                        \
                    V old = w[(i + 1) & 15], young = w[(i + 14) & 15];                                                \
                    w[i & 15] += (TURN(old, 7) ^ TURN(old, 18) ^ old >> 3) + w[(i + 9) & 15] +                        \
                                 (TURN(young, 17) ^ TURN(young, 19) ^ young >> 10);                                   \
                }                                                                                                     \
                V a = v[-i & 7], b = v[(1 - i) & 7], c = v[(2 - i) & 7], e = v[(4 - i) & 7];                          \
                V f = v[(5 - i) & 7], g = v[(6 - i) & 7];                                                             \
                V new = v[(7 - i) & 7] + (TURN(e, 6) ^ TURN(e, 11) ^ TURN(e, 25)) + ((e & f) | (~e & g)) + K[i] +     \
                        w[i & 15];                                                                                    \
                v[(3 - i) & 7] += new;                                                                                \
                v[(7 - i) & 7] = new + (TURN(a, 2) ^ TURN(a, 13) ^ TURN(a, 22)) + ((a & b) | (c & (a | b)));          \
            }                                                                                                         \
            for (int i = 0; i < 8; i++) state[i] += v[i];                                                             \
        }                                                                                                             \
        for (int i = 0; i < 8; i++)                                                                                   \
            for (int s = 0; s < n; s++) shards[s]->state[i] = state[i][s];                                            \
    }
#define TURN(x, bits) ((x) >> (bits) | (x) << (32 - (bits)))
LANES(eight, 8)
LANES(sixteen, 16)

static void begin(Shard *shard, File *files, int number, const char *folder) {
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    char name[4096];
    memcpy(shard->state, start, sizeof start);
    shard->files = files, shard->total = shard->held = shard->ended = 0, shard->left = 0, shard->file = -1;
    snprintf(name, sizeof name, "%s/%d", folder, number);
    if (writes && (shard->out = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666)) < 0) fail(name);
}

/* Read until the buffer is full or the shard has no more files. */
static void fill(Shard *shard) {
    shard->held = 0;
    while (shard->held < slice) {
        if (!shard->left) {
            if (!shard->files->path) { shard->ended = 1; return; }
            shard->left = shard->files->size;
            if (reads && (shard->file = open(shard->files->path, O_RDONLY)) < 0) fail(shard->files->path);
        }
        size_t room = slice - shard->held, want = (size_t)shard->left < room ? (size_t)shard->left : room;
        if (reads && read(shard->file, shard->buffer + shard->held, want) != (ssize_t)want) fail(shard->files->path);
        shard->held += want, shard->left -= want, shard->total += want;
        if (!shard->left) {
            struct stat state;
            if (reads && (fstat(shard->file, &state) || close(shard->file))) fail(shard->files->path);
            shard->files++;
        }
    }
}

static void send(Shard *shard) {
    if (writes && write(shard->out, shard->buffer, shard->held) != (ssize_t)shard->held) fail("write");
    if (!shard->ended) return;
    size_t rest = shard->held % 64, padded = rest < 56 ? 64 : 128;
    uint8_t *tail = shard->buffer + shard->held - rest;
    memset(tail + rest, 0, padded - rest);
    tail[rest] = 0x80;
    for (int i = 0; i < 8; i++) tail[padded - 1 - i] = (uint8_t)((shard->total * 8) >> (8 * i));
    if (hashes) single(&shard, tail - shard->buffer, padded / 64);
    if (writes && close(shard->out)) fail("close");
}

/* Pack so many shards side by side. */
static void pack(Shard *shards, int n) {
    for (;;) {
        Shard *going[MOST];
        int many = 0;
        size_t all = slice / 64, mine;
        for (int s = 0; s < n; s++)
            if (!shards[s].ended) {
                fill(going[many++] = &shards[s]);
                if (shards[s].held / 64 < all) all = shards[s].held / 64;
            }
        if (!many) return;
        if (hashes && many == 16) sixteen(going, 0, all);
        else if (hashes && many == 8) eight(going, 0, all);
        else if (hashes && many == 2) twin(going, 0, all);
        else all = 0;
        for (int s = 0; s < many; s++) {
            if (hashes && (mine = going[s]->held / 64) > all) single(&going[s], all * 64, mine - all);
            send(going[s]);
        }
    }
}

static double seconds(struct timeval time) { return time.tv_sec + time.tv_usec / 1e6; }

int main(int count, char **words) {
    if (count != 6) return 2;
    FILE *plan = fopen(words[1], "r");
    if (!plan) fail(words[1]);
    slice = atol(words[3]);
    int streams = atoi(words[4]), number = 0, digests = 0;
    reads = !!strchr(words[5], 'r'), hashes = !!strchr(words[5], 'h'), writes = !!strchr(words[5], 'w');
    size_t room = 1 << 20, many = 0, length = 0;
    File *files = malloc(room * sizeof *files);
    char *line = NULL, hex[1 << 16] = "";
    for (ssize_t got; (got = getline(&line, &length, plan)) > 0; many++) {
        if (many == room) files = realloc(files, (room *= 2) * sizeof *files);
        line[got - 1] = 0;
        files[many].path = got > 1 ? strdup(strchr(line, ' ') + 1) : NULL;
        files[many].size = got > 1 ? atol(line) : 0;
    }
    Shard shards[MOST];
    for (int s = 0; s < streams; s++) {
        if (!(shards[s].buffer = aligned_alloc(4096, slice + 4096))) fail("memory");
        memset(shards[s].buffer, 1, slice + 4096);
    }
    struct rusage before, after;
    struct timespec began, ended;
    getrusage(RUSAGE_SELF, &before), clock_gettime(CLOCK_MONOTONIC, &began);
    for (size_t at = 0; at < many;) {
        int n = 0;
        for (; n < streams && at < many; n++, at++) {
            begin(&shards[n], files + at, number++, words[2]);
            while (files[at].path) at++;
        }
        pack(shards, n);
        for (int s = 0; s < n && hashes; s++) {
            digests += sprintf(hex + digests, "%s\"", digests ? ", " : "");
            for (int i = 0; i < 8; i++) digests += sprintf(hex + digests, "%08x", shards[s].state[i]);
            digests += sprintf(hex + digests, "\"");
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &ended), getrusage(RUSAGE_SELF, &after);
    printf("{\"wall\": %f, \"user\": %f, \"system\": %f, \"digests\": [%s]}\n",
           ended.tv_sec - began.tv_sec + (ended.tv_nsec - began.tv_nsec) / 1e9,
           seconds(after.ru_utime) - seconds(before.ru_utime), seconds(after.ru_stime) - seconds(before.ru_stime), hex);
    return 0;
}
