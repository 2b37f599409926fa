/* Reads and hashes many small files per call: for them, calls from Python cost more than the work.

   Called through ctypes by small_files.py. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "md5_lanes.h"

/* A small file below a folder; mirrored in small_files.py. */
typedef struct {
    const char *path;     /* with forward slashes */
    size_t size_bytes;    /* a file of another size is not read */
    int64_t identity[6];  /* device, inode, links, bytes, modified and changed in nanoseconds since 1970 */
    uint8_t digest[16];
    int is_hashed;        /* all of it was read, and it has not changed meanwhile */
} small_file;

static void identify(const struct stat *status, int64_t *identity) {
    identity[0] = (int64_t)status->st_dev, identity[1] = (int64_t)status->st_ino;
    identity[2] = (int64_t)status->st_nlink, identity[3] = status->st_size;
    identity[4] = status->st_mtim.tv_sec * 1000000000LL + status->st_mtim.tv_nsec;
    identity[5] = status->st_ctim.tv_sec * 1000000000LL + status->st_ctim.tv_nsec;
}

/* fstat, which under its own name asks for a C library of 2021: wheels are for older ones, too. */
static int look_at(int descriptor, struct stat *status) { return (int)syscall(SYS_fstat, descriptor, status); }

/* The folder that was opened last, below another: files of one folder come in a row. */
typedef struct {
    int below, descriptor;
    const char *path; /* relative to `below`, each component with its slash */
    size_t path_bytes;
} last_folder;

static void leave_folder(last_folder *folder) {
    if (folder->descriptor >= 0 && folder->descriptor != folder->below) close(folder->descriptor);
    folder->descriptor = folder->below, folder->path_bytes = 0;
}

/* Goes to a folder, component by component, and follows no link, as `OutputFolder.folder` does; -1 if it cannot. */
static int go_to_folder(last_folder *folder, const char *path, size_t path_bytes) {
    if (path_bytes == folder->path_bytes && memcmp(path, folder->path, path_bytes) == 0) return folder->descriptor;
    leave_folder(folder);
    folder->path = path, folder->path_bytes = path_bytes;
    const char *end = path + path_bytes;
    while (path < end && folder->descriptor >= 0) {
        char name[NAME_MAX + 1];
        size_t name_bytes = (size_t)((const char *)memchr(path, '/', (size_t)(end - path)) - path);
        int parent = folder->descriptor;
        folder->descriptor = -1;
        if (name_bytes < sizeof name) {
            memcpy(name, path, name_bytes), name[name_bytes] = 0;
            folder->descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        if (parent != folder->below) close(parent);
        path += name_bytes + 1;
    }
    return folder->descriptor;
}

static int read_whole(int descriptor, uint8_t *into, size_t size) {
    for (size_t at = 0; at < size;) {
        ssize_t count = pread(descriptor, into + at, size - at, (off_t)at);
        if (count > 0) at += (size_t)count;
        if (count == 0 || (count < 0 && errno != EINTR)) return 0;
    }
    return 1;
}

/* Reads a regular file and sees that it is the same afterwards; follows no link, waits for no FIFO. */
static int read_small_file(last_folder *folder, small_file *file, uint8_t *into) {
    struct stat before, after;
    int64_t identity[6];
    const char *slash = strrchr(file->path, '/'), *name = slash ? slash + 1 : file->path;
    int parent = go_to_folder(folder, file->path, (size_t)(name - file->path));
    int descriptor = parent < 0 ? -1 : openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) return 0;
    int is_whole = look_at(descriptor, &before) == 0 && S_ISREG(before.st_mode) &&
                   (size_t)before.st_size == file->size_bytes &&
                   read_whole(descriptor, into, file->size_bytes) &&
                   look_at(descriptor, &after) == 0;
    close(descriptor);
    if (!is_whole) return 0;
    identify(&before, file->identity), identify(&after, identity);
    return memcmp(file->identity + 2, identity + 2, sizeof identity - 2 * sizeof *identity) == 0; /* `is_same` */
}

/* Reads and hashes at most md5_lanes() files, together as large as the buffer at most. */
static void hash_some(last_folder *folder, small_file *files, int count, uint8_t *buffer) {
    md5_stream streams[MAX_LANES], *hashed[MAX_LANES] = {0};
    const uint8_t *data[MAX_LANES] = {0};
    size_t sizes[MAX_LANES] = {0};
    int hashes = 0;
    for (int i = 0; i < count; i++) {
        files[i].is_hashed = read_small_file(folder, &files[i], buffer);
        if (!files[i].is_hashed) continue;
        md5_start(&streams[i]);
        hashed[hashes] = &streams[i], data[hashes] = buffer, sizes[hashes++] = files[i].size_bytes;
        buffer += files[i].size_bytes;
    }
    md5_update(hashed, data, sizes, hashes);
    for (int i = 0; i < count; i++)
        if (files[i].is_hashed) md5_digest(&streams[i], files[i].digest);
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Reads and hashes small files below a folder, as many at once as fit in the lanes and the buffer.

   Returns how many it has dealt with: all, or fewer where so many milliseconds are over. */
int hash_small_files(int below, small_file *files, int count, uint8_t *buffer, size_t buffer_bytes, int most_ms) {
    last_folder folder = {.below = below, .descriptor = below, .path = "", .path_bytes = 0};
    int at_once = md5_lanes(), done = 0, some;
    for (int64_t end = now_ms() + most_ms; done < count && (done == 0 || now_ms() < end); done += some) {
        size_t taken = 0;
        for (some = 0; some < at_once && done + some < count; some++) {
            if (files[done + some].size_bytes > buffer_bytes - taken) break;
            taken += files[done + some].size_bytes;
        }
        hash_some(&folder, files + done, some, buffer);
        some += some == 0; /* a file that does not fit is left out */
    }
    leave_folder(&folder);
    return done;
}
