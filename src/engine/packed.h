// SPDX-License-Identifier: MIT
// Private to the engine room: the cache of packed weights. One file for each (source, quantization, layout): our GGUF
// container with panels as they stand in memory, vectors, and the metadata that binding needs.
//
// A file is written under "NAME.part", then renamed (base/new_file.h): whoever finds NAME finds all of it, and what a
// killed writer left is taken over or removed by the next. What a file was made from stands in it in full and is compared on opening; its name is only a hash of that. Its header is sealed
// (format/seal.c): a file with a wrong bit there, or of another length, is removed and made anew. The panels' bytes are
// trusted as those of a model file are.
#ifndef QL_ENGINE_PACKED_H
#define QL_ENGINE_PACKED_H

#include "base/log.h"
#include "model/model.h"
#include "text/tokenizer.h"

// Where a model's packed file is or will be. Zeroed: nowhere, the cache is off.
typedef struct ql_packed_place {
    char *dir, *path; // NULL: the cache is off
    char *identity;   // of source, quantization and layout; NUL-terminated
    size_t identity_len;
} ql_packed_place;

ql_code ql_packed_locate(const ql_source *source, const char *name, const char *quantization, ql_packed_place *place,
                         ql_error *err);
void ql_packed_place_free(ql_packed_place *place);

// The packed file, NULL when there is none, or it is damaged or not of this identity (then it is removed). Marks it as
// used.
ql_source *ql_packed_open(const ql_packed_place *place);

// The tensor in which a packed file keeps the tokenizer's bytes; its type is only a way to have them there.
extern const char ql_packed_tokenizer[];

// What is written; all of it must stay until ql_packed_finish.
typedef struct ql_packed_content {
    const ql_source *source;
    const ql_weights *weights;
    const ql_tokenizer *tokenizer; // kept where it can be (ql_tokenizer_store)
    const char *name, *quantization;
} ql_packed_content;

// Brings the files' total to where this one fits under the cap, then starts to write on a thread of its own. NULL when it
// can not be (no room, read-only, another process is at it): said in the log, and no reason to fail. Nothing is kept of a
// source that has changed since it was opened.
typedef struct ql_packed_writer ql_packed_writer;
ql_packed_writer *ql_packed_write(const ql_packed_place *place, const ql_packed_content *content, const ql_logger *log);
// Waits until the file is there or has been given up; then brings the cache's total size under its cap.
void ql_packed_finish(ql_packed_writer *writer, const ql_logger *log);

// Brings the pages of an open packed file in, on a thread of its own: mapping small pages takes as long as loading a
// tokenizer, which is done meanwhile. NULL: it can not be, or need not. The source must stay until the end; NULL is allowed there.
typedef struct ql_packed_pages ql_packed_pages;
ql_packed_pages *ql_packed_pages_start(const ql_source *packed);
void ql_packed_pages_end(ql_packed_pages *pages); // also before all are there

// ---- between packed.c and packed_write.c

extern const char ql_packed_suffix[], ql_packed_part_suffix[];
// Removes the least recently used files until the total is at most cap; keep: not this one. Also leftovers of killed
// writers.
void ql_packed_trim(const char *dir, uint64_t cap, const char *keep);

#endif
