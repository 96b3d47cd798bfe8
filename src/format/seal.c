// SPDX-License-Identifier: MIT
// The seal of a file that we wrote ourselves: one key of its header, "quantllm.seal", holds a hash of the whole header (that
// value itself taken as zero) and of the file's size. What lies in the header decides how the rest is read, so it is
// compared in full whenever such a file is opened; it costs some 10 microseconds. The tensors' bytes are not in it: to
// read all of them takes as long as what the file is to save.
#include "format/seal.h"

#include <string.h>

#include "base/random.h"
#include "format/source_impl.h"

const char ql_seal_key[] = "quantllm.seal";

uint64_t ql_seal_of(const uint8_t *header, size_t size, size_t seal_at, uint64_t file_bytes)
{
    uint64_t h = ql_mix64(file_bytes) ^ size;
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        size_t n = size - at < sizeof word ? size - at : sizeof word;
        memcpy(&word, header + at, n);
        for (size_t i = 0; i < n; i++)
            if (at + i >= seal_at && at + i < seal_at + sizeof word)
                word &= ~((uint64_t)0xff << 8 * i);
        h = ql_mix64(h ^ word);
    }
    return h;
}

ql_code ql_source_check_seal(const ql_source *s, ql_error *err)
{
    uint64_t found = 0;
    const uint8_t *end = s->file.data + s->file.size, *value = NULL;
    QL_TRY(ql_source_get_u64(s, ql_seal_key, true, 0, UINT64_MAX, &found, err));
    for (size_t i = 0; i < s->n_kvs; i++)
        if (s->kvs[i].key_len == sizeof ql_seal_key - 1 && memcmp(s->kvs[i].key, ql_seal_key, s->kvs[i].key_len) == 0)
            value = s->kvs[i].data;
    for (size_t i = 0; i < s->n_tensors; i++)
        end = s->tensors[i].data < end ? s->tensors[i].data : end;
    size_t size = (size_t)(end - s->file.data);
    if (!value || ql_seal_of(s->file.data, size, (size_t)(value - s->file.data), s->file.size) != found)
        return ql_fail(err, QL_E_FORMAT, "%s: header or size are not what was written", s->path);
    return QL_OK;
}
