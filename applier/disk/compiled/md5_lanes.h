/* Declares the MD5 of several streams at once, see md5_lanes.c. */

#ifndef MD5_LANES_H
#define MD5_LANES_H

#include <stddef.h>
#include <stdint.h>

enum { BLOCK = 64, MAX_LANES = 16 };

typedef struct {
    uint32_t state[4];
    uint64_t total_bytes;
    size_t pending_bytes; /* of a block that is not yet full */
    uint8_t pending[BLOCK];
} md5_stream;

/* How many streams this processor hashes at once; 1: vectors do not help here. */
int md5_lanes(void);

size_t md5_stream_bytes(void);

void md5_start(md5_stream *stream);

/* Feeds each stream its data; at most md5_lanes() streams, none of them twice. */
void md5_update(md5_stream *const *streams, const uint8_t *const *data, const size_t *sizes, int count);

/* Writes the 16 bytes of the digest; the stream can be fed on. */
void md5_digest(const md5_stream *stream, uint8_t *digest);

#endif
