// SPDX-License-Identifier: MIT
// Private to the format room: what is behind ql_source, whichever files it comes from.
//
// Every kind of file ends in the same two tables: metadata entries and tensors. Entries stay in the order of the file
// and are found through an array of their numbers in the order of their names: sorting then moves 4 bytes an entry,
// and a hostile file of 65536 tiny entries takes less than 4 times its size.
#ifndef QL_FORMAT_SOURCE_IMPL_H
#define QL_FORMAT_SOURCE_IMPL_H

#include "base/arena.h"
#include "base/file.h"
#include "format/source.h"

// The types of metadata values: GGUF's, and config.json's among them (I64, F64, BOOL, STR and arrays).
typedef enum ql_gguf_type {
    QL_GGUF_U8, QL_GGUF_I8, QL_GGUF_U16, QL_GGUF_I16, QL_GGUF_U32, QL_GGUF_I32, QL_GGUF_F32, QL_GGUF_BOOL,
    QL_GGUF_STR, QL_GGUF_ARR, QL_GGUF_U64, QL_GGUF_I64, QL_GGUF_F64, QL_GGUF_TYPES
} ql_gguf_type;

typedef struct ql_gguf_kv {
    const char *key;      // [key_len], not NUL-terminated
    const uint8_t *data;  // the value, a string's first byte, an array's first element; not aligned
    uint64_t n;           // bytes of a string, elements of an array
    ql_str *items;        // [n] of an array of strings
    uint32_t key_len;
    uint8_t type;         // ql_gguf_type
    uint8_t element;      // of an array
} ql_gguf_kv;

typedef struct ql_document {
    const char *name; // a literal
    ql_file file;
} ql_document;

// Files of weights that belong together (shards) are sources of their own, the parts; the whole has a table of all
// their tensors, and the first part's entries.
struct ql_source {
    ql_source_kind kind;
    bool allow_packed;       // type numbers from QL_PACKED_TYPE on
    ql_file file;            // of a part, or of a model in one GGUF
    char *path_copy;
    const char *path;        // for messages about tensors and the whole
    char *keys_path;         // for messages about entries; NULL: path
    ql_gguf_kv *kvs;         // [n_kvs]
    uint32_t *kvs_by_key;    // [n_kvs], numbers of kvs
    ql_tensor *tensors;      // [n_tensors]; of a safetensors part those of other types too, with dtype QL_DTYPE_END
    uint32_t *tensors_by_name;
    char *names;             // the tensors' names, NUL-terminated
    size_t n_kvs, n_tensors;
    ql_arena values;         // config.json's keys, values and items; base NULL: they are in the file
    ql_source *parts;        // [n_parts]
    size_t n_parts;
    ql_document *documents;  // [n_documents]
    size_t n_documents;
    ql_buf identity, remarks; // remarks end with NUL each
    ql_buf files;            // the paths of all files, NUL-terminated
    ql_error *no_weights;    // NULL: there are weights
};

// ---- source.c ----

extern const char *const ql_gguf_type_names[QL_GGUF_TYPES];

// Bytes of one value; 0 for strings and arrays.
size_t ql_gguf_type_bytes(ql_gguf_type type);

// Whether n bytes are UTF-8; if not, *at is where they stop to be.
bool ql_gguf_is_utf8(const void *data, size_t n, size_t *at);

// ---- tables.c: order ----

// Fill kvs_by_key and tensors_by_name. The first pair that is there twice goes to a, b; false: there is none.
bool ql_source_sort_kvs(ql_source *source, uint32_t *a, uint32_t *b);
bool ql_source_sort_tensors(ql_source *source, const ql_tensor **twice);

// Makes the tables of the whole from its parts: all their tensors but those of other types, the first part's entries.
ql_code ql_source_join(ql_source *source, ql_error *err);

// ---- open.c: lifetime ----

// "folder/name"; the caller frees. NULL: out of memory.
char *ql_path_join(const char *folder, const char *name);
// What follows the last '/'.
const char *ql_path_name(const char *path);
// The part before it, "." when there is none; the caller frees. NULL: out of memory.
char *ql_path_folder(const char *path);
bool ql_path_ends(const char *name, const char *end); // in any case of letters
bool ql_path_is_file(const char *path);

// Maps a file and notes it in the identity of owner. It is noted before it is opened: a file that is replaced in
// between gets an identity that is no longer true, which no later look can meet.
ql_code ql_source_map(ql_source *owner, const char *path, ql_file *file, ql_error *err);

// A sentence for ql_source_remark.
__attribute__((format(printf, 2, 3))) void ql_source_add_remark(ql_source *source, const char *fmt, ...);

// There are no weights: what ql_source_check_weights will say.
__attribute__((format(printf, 4, 5))) ql_code ql_source_set_no_weights(ql_source *source, ql_error *err, ql_code code,
                                                                       const char *fmt, ...);

// ---- the kinds of source; each fills a zeroed one with its path set ----

ql_code ql_gguf_open(ql_source *source, const char *path, ql_error *err);                         // gguf_split.c
ql_code ql_folder_open(ql_source *source, const char *folder, const char *choice, ql_error *err); // folder.c
ql_code ql_hf_open_folder(ql_source *source, const char *folder, ql_error *err);                  // hf.c
ql_code ql_hf_open_file(ql_source *source, const char *path, ql_error *err);
ql_code ql_hf_open_tokenizer(ql_source *source, const char *path, ql_error *err);
ql_code ql_hf_read_config(ql_source *source, ql_error *err);                                      // hf_config.c
bool ql_hf_looks_like_folder(const char *folder);
bool ql_hf_has_safetensors(const char *folder);

#endif
