/* SPDX-License-Identifier: MIT
 *
 * quantllm.h: run a language model on the CPU.
 *
 *     ql_error err = {0};
 *     ql_model *model = ql_model_open("model.gguf", NULL, &err);
 *     ql_session *session = ql_session_new(model, &err);
 *     ql_params params = ql_params_default();
 *     ql_prompt prompt = {.text = "Once", .len = 4};
 *     if (ql_generate(session, &prompt, 1, &params, &err) == QL_OK) {
 *         ql_piece piece;
 *         while (ql_next(session, &piece, &err) == QL_OK && piece.text)
 *             fwrite(piece.text, 1, piece.len, stdout);
 *     }
 *     ql_session_free(session);
 *     ql_model_close(model);
 *
 * Rules that hold for every call:
 *   - A fallible call returns a ql_code (QL_OK is 0) or NULL, and then fills *err, which may be NULL.
 *   - Text is UTF-8 with an explicit length; a NUL byte is a byte like another unless a parameter says "string".
 *   - The library never prints, exits, aborts, installs a signal handler or changes the locale.
 *   - Memory the library returns to be freed by the caller is freed with ql_free().
 *   - Handles may be used from any thread. A model and a tokenizer may be used by many threads at once; a session
 *     by one at a time, except ql_cancel(), which may be called from any thread. Sessions of one model run in turns.
 */
#ifndef QUANTLLM_H
#define QUANTLLM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define QL_API __attribute__((visibility("default")))
#else
#define QL_API
#endif

/* ---- errors ---------------------------------------------------------------------------------------------------- */

typedef enum ql_code {
    QL_OK = 0,
    QL_E_ARGUMENT,    /* a parameter is wrong: its name, value and rule are in the message */
    QL_E_NOT_FOUND,   /* no such file */
    QL_E_IO,          /* the system refused to read or write */
    QL_E_FORMAT,      /* a model file breaks a rule of its format */
    QL_E_UNSUPPORTED, /* a valid file or request asks for what this build does not have */
    QL_E_MEMORY,      /* not enough memory; the message has the figures */
    QL_E_CONTEXT,     /* the prompt fills or exceeds the context; both counts are in the message */
    QL_E_NO_TEMPLATE, /* chat was asked of a model without a chat template */
    QL_E_TEMPLATE,    /* a chat template is wrong, refuses the messages, or passed a limit */
    QL_E_CANCELLED,   /* ql_cancel() ended the call */
    QL_E_NUMERIC,     /* the model produced no finite logits */
    QL_E_CLOSED,      /* the handle has been closed */
    QL_E_COUNT
} ql_code;

typedef struct ql_error {
    ql_code code;
    char message[1024]; /* one line, UTF-8, NUL-terminated */
} ql_error;

/* What a code becomes outside the library: the one table that the command, the server and Python use. */
typedef struct ql_code_info {
    const char *name;   /* "argument", "not_found", ... */
    const char *python; /* name of the Python exception class */
    int http_status;
    int exit_code;
} ql_code_info;

/* Never NULL: an unknown code gives the entry of an internal error. */
QL_API const ql_code_info *ql_code_lookup(ql_code code);

/* "0.1.0". */
QL_API const char *ql_version(void);

/* Frees what the library returned; NULL is allowed. */
QL_API void ql_free(void *memory);

/* ---- model ----------------------------------------------------------------------------------------------------- */

typedef struct ql_model ql_model;

/* Called now and then while a model loads, on the calling thread; fraction rises from 0 to 1. */
typedef void ql_progress(void *user, float fraction);

/* One line (string, no newline) about a decision a user should know of: a type chosen, a tensor that got another type, a
 * cache that could not be written. On the calling thread. */
typedef void ql_log(void *user, const char *line);

/* All zero is the default for every field.
 *
 * quantization names the type of the weights: "Q2_K", "Q3_K_S|M|L", "Q4_0", "Q4_1", "Q4_K_S|M", "Q5_0", "Q5_1", "Q5_K_S|M",
 * "Q6_K", "Q8_0", "IQ4_NL", "IQ4_XS", "F16", "BF16", or "F32" for everything in f32, the reference numerics. NULL or
 * "auto": a GGUF file runs in its own types; anything else in Q8_0 below 1e9 parameters and Q4_K_M from there.
 * bits says the same by number: 2 Q2_K, 3 Q3_K_M, 4 Q4_K_M, 5 Q5_K_M, 6 Q6_K, 8 Q8_0, 16 the source's 16-bit type. */
typedef struct ql_model_options {
    int threads;               /* 0: physical cores allowed by affinity and cgroup quota; else 1 to 256 */
    uint32_t max_length;       /* context in tokens; 0: the smaller of the model's own and 8192 */
    int bits;                  /* 0: not given; with quantization both must mean the same */
    const char *quantization;  /* string */
    const char *kv_cache;      /* string: "f32", "f16", "q8" or "q4"; NULL or "auto": what the architecture has, f32 with
                                  quantization "F32" */
    ql_model *draft;           /* a smaller model with the same vocabulary whose continuations are tried (speculation): the
                                  same text, sooner where it guesses well. A reference is held; NULL: none */
    const char *chat_template; /* string, Jinja source used instead of the file's; NULL: the file's */
    bool no_cache;             /* neither read nor write the cache of packed weights */
    bool inspect;              /* only look: ql_model_get_info() and templates work, weights are not read, no session */
    ql_progress *progress;
    void *progress_user;
    ql_log *log;
    void *log_user;
} ql_model_options;

typedef struct ql_model_info {
    const char *architecture;  /* "llama" */
    const char *name;          /* general.name, "" if absent */
    const char *file_type;     /* the most common weight type, "Q4_1" */
    const char *quantization;  /* what runs: "Q4_1", or "F32" for the reference */
    const char *kv_cache;      /* type of the cache, "q8" */
    const char *isa;           /* "scalar", "avx2" or "avx512" */
    const char *chat_template; /* Jinja source in use, NULL if there is none */
    uint64_t n_params;
    uint64_t file_bytes;
    uint64_t weight_bytes;     /* packed weights held in memory; with inspect: that would be */
    uint64_t kv_bytes;         /* key/value cache of one sequence of max_length tokens */
    uint64_t bytes_per_token;  /* weight bytes that decoding one token reads */
    double load_seconds;
    bool from_cache;           /* the weights are mapped from the packed cache */
    uint32_t n_vocab;
    uint32_t n_layers;
    uint32_t n_embd;
    uint32_t context_length;   /* what the model was trained for */
    uint32_t max_length;       /* what this handle allows */
    int threads;
} ql_model_info;

/* Opens a model and makes it ready to run: a GGUF file (of a split one any shard), a Hugging Face folder with safetensors,
 * one .safetensors file with config.json beside it, or a folder of GGUF files ("folder:Q4_K_M" chooses by name).
 * Weights that had to be quantized are kept in the packed cache, from which the next start maps them. options may be
 * NULL. The caller closes the model. */
QL_API ql_model *ql_model_open(const char *path, const ql_model_options *options, ql_error *err);

/* Sessions hold a reference of their own: closing a model while sessions live is safe. NULL is allowed. */
QL_API void ql_model_close(ql_model *model);

/* Pointers inside *info live as long as the model. */
QL_API void ql_model_get_info(const ql_model *model, ql_model_info *info);

/* ---- verification ---------------------------------------------------------------------------------------------- */

typedef enum ql_severity {
    QL_WARNING, /* it runs, and something is not as it should be */
    QL_FAULT,   /* it does not run, or what it computes is not what it should be */
} ql_severity;

typedef struct ql_verify_options {
    int threads;                                                          /* as of a model */
    void (*finding)(void *user, ql_severity severity, const char *line); /* one line (string), on the calling thread */
    ql_progress *progress;
    void *user;
} ql_verify_options;

typedef struct ql_verify_result {
    uint64_t n_tensors, n_values; /* looked at */
    uint32_t n_packed;            /* files of the packed cache made from this model */
    uint32_t n_faults, n_warnings;
} ql_verify_result;

/* Looks at all of a model, without running it: the rules of its files, its configuration, tokenizer and chat template, every
 * number (NaN, infinite), and the packed files made from it, which are compared with what packing gives now. QL_OK when
 * everything was looked at, whatever was found; an error when it could not be (no such file, not enough memory). Checksums of
 * the Hub are the command's. options may be NULL. */
QL_API ql_code ql_verify(const char *path, const ql_verify_options *options, ql_verify_result *result, ql_error *err);

/* ---- export ----------------------------------------------------------------------------------------------------- */

/* All zero is the default for every field. */
typedef struct ql_export_options {
    const char *quantization;      /* string, as of a model: NULL or "auto" keeps the types of a GGUF file; a folder becomes
                                      Q8_0 below 1e9 parameters and Q4_K_M from there */
    int threads;                   /* as of a model */
    ql_progress *progress;         /* of the bytes written */
    bool (*cancelled)(void *user); /* asked many times a second; true ends the work with QL_E_CANCELLED */
    ql_log *log;
    void *user;                    /* of these three, which are called on the calling thread */
} ql_export_options;

typedef struct ql_export_result {
    char quantization[16];         /* what the file is called, "Q4_K_M" */
    uint64_t bytes;                /* of the file */
    uint64_t n_tensors, n_encoded; /* in it, and of these: those that got another type */
} ql_export_result;

/* Writes a model as one GGUF file, as llama.cpp reads it. path is what ql_model_open() takes. Metadata of a GGUF file stays,
 * but for the keys that name its types and its parts; its matrices get the types of the quantization, from their values, or
 * stay byte for byte when they have them. out (string) is there whole or not at all: it is written as "out.quantllm-part",
 * synced, and then takes the place of a file that had the name. Memory: a few megabytes beside the model's mapping, and of a
 * folder its tokenizer.
 *
 * QL_E_ARGUMENT for an unknown quantization, and when out is no file, or it or "out.quantllm-part" is one of the model's own;
 * QL_E_NOT_FOUND when the model or the folder of out is not there; QL_E_IO, with what was written, when the disk is full or
 * refuses; QL_E_UNSUPPORTED, by name, for a folder whose like has no exact form in GGUF here. options and result may be NULL. */
QL_API ql_code ql_export_gguf(const char *path, const ql_export_options *options, const char *out,
                              ql_export_result *result, ql_error *err);

/* ---- this machine ---------------------------------------------------------------------------------------------- */

/* Bytes per second that so many threads read from memory together, the bound of decoding; 0 when there is no memory for the
 * measurement. Takes about 0.3 s and 512 MB. */
QL_API double ql_read_bandwidth(int threads);

/* The limits that a model's speed is compared with (its roofline), with its threads. Rates are per second, of all threads. */
typedef struct ql_roof {
    double weight_reads;  /* bytes: its weights, read from where they lie and nothing else done, the bound of decoding. Weights
                             smaller than the caches are read from them */
    double huge_reads;    /* bytes: 512 MB of anonymous memory on huge pages, as ql_read_bandwidth(); 0: no memory for it */
    double huge_part;     /* of the weights' memory is on huge pages, 0 to 1 */
    bool from_file;       /* weights are mapped from a file, else they are anonymous memory */
    double kernel_macs;   /* multiply-adds: the matrix kernels of the layers' types on operands in the caches, the bound of
                             prompts; types in the proportion in which the model has them */
    double dot_macs;      /* the instructions of the kernels' products alone; 0 for scalar and float weights */
    uint64_t layer_macs;  /* multiply-adds with weights for each token, but for the output matrix */
    uint64_t output_macs; /* of the output matrix, for each token whose logits are asked for */
} ql_roof;

/* Measures them; takes about a second and 512 MB. Nothing else should run meanwhile. QL_E_ARGUMENT for a model opened with
 * inspect. */
QL_API ql_code ql_model_roof(const ql_model *model, ql_roof *roof, ql_error *err);

/* What a model meets on this machine, as one JSON object (string, ql_free): "cpu" with the level used and why not a higher
 * one, "threads" and "memory" with what limits them, "bandwidth" (null unless measured), "packed_cache", "versions", and
 * "advice", a list of sentences about what will be slow or wrong. Sizes in bytes, null for no limit. */
QL_API ql_code ql_doctor(bool measure, char **json, size_t *len, ql_error *err);

/* ---- packed cache ----------------------------------------------------------------------------------------------- */

/* Weights quantized and packed once are kept as files in $QUANTLLM_CACHE, else $XDG_CACHE_HOME/quantllm/packed, else
 * ~/.cache/quantllm/packed; QUANTLLM_CACHE=off turns the cache off. QUANTLLM_CACHE_SIZE caps the total in bytes (suffixes
 * K M G; default 20G): the least recently used go first. */
typedef struct ql_packed_entry {
    const char *path;         /* of the packed file */
    const char *source;       /* of the model it was made from */
    const char *quantization;
    uint64_t bytes;
    int64_t last_used;        /* seconds since 1970 */
} ql_packed_entry;

/* The directory (string, ql_free); NULL when the cache is turned off or there is no home. */
QL_API char *ql_packed_dir(void);

/* What QUANTLLM_CACHE_SIZE caps the total at, in bytes. */
QL_API uint64_t ql_packed_cap(void);

/* What is there, the last used first. *entries is one allocation (ql_free). */
QL_API ql_code ql_packed_list(ql_packed_entry **entries, size_t *n, ql_error *err);

/* Deletes one packed file of ql_packed_list(); models that run from it go on. */
QL_API ql_code ql_packed_remove(const char *path, ql_error *err);

/* ---- tokenizer ------------------------------------------------------------------------------------------------- */

typedef struct ql_tokenizer ql_tokenizer;

enum {
    QL_ADD_SPECIAL = 1,   /* add the tokens the model wants around a text (BOS, EOS), unless already there */
    QL_PARSE_SPECIAL = 2, /* text that spells a control token becomes that token */
    QL_SKIP_SPECIAL = 4,  /* decode: control tokens give no text */
};

/* A tokenizer alone, from any GGUF with a vocabulary, a folder with tokenizer.json, or that file. The caller closes it. */
QL_API ql_tokenizer *ql_tokenizer_open(const char *path, ql_error *err);
QL_API void ql_tokenizer_close(ql_tokenizer *tokenizer);

/* The model's tokenizer, owned by the model. */
QL_API const ql_tokenizer *ql_model_tokenizer(const ql_model *model);

/* Text to ids. *ids is allocated (ql_free), *n_ids counted. */
QL_API ql_code ql_tokenize(const ql_tokenizer *tokenizer, const char *text, size_t len, unsigned flags,
                           int32_t **ids, size_t *n_ids, ql_error *err);

/* Ids to text; bytes that are not UTF-8 become U+FFFD. *text is allocated (ql_free) and also NUL-terminated. */
QL_API ql_code ql_detokenize(const ql_tokenizer *tokenizer, const int32_t *ids, size_t n_ids, unsigned flags,
                             char **text, size_t *len, ql_error *err);

/* Ids that matter to a caller; -1 where the vocabulary has none. */
typedef struct ql_vocab_info {
    uint32_t n_vocab;
    int32_t bos_id, eos_id, unk_id, pad_id;
} ql_vocab_info;
QL_API void ql_tokenizer_get_info(const ql_tokenizer *tokenizer, ql_vocab_info *info);

/* The piece of one id as stored in the vocabulary (string, owned by the tokenizer), NULL if out of range. */
QL_API const char *ql_token_piece(const ql_tokenizer *tokenizer, int32_t id);

/* ---- chat template --------------------------------------------------------------------------------------------- */

typedef struct ql_template ql_template;

/* Compiles Jinja source. bos and eos are strings that templates see as bos_token and eos_token; NULL is "". */
QL_API ql_template *ql_template_open(const char *source, size_t len, const char *bos, const char *eos, ql_error *err);
QL_API void ql_template_close(ql_template *tmpl);

/* What a template is rendered with. Strings are JSON; NULL takes the default. */
typedef struct ql_render {
    const char *messages;       /* array of message objects; required */
    const char *tools;          /* array or null */
    const char *variables;      /* object: further template variables */
    bool add_generation_prompt;
    bool has_now;
    int64_t now;                /* seconds since 1970 UTC for strftime_now, with has_now; else the clock, local time */
} ql_render;

/* *text is allocated (ql_free) and also NUL-terminated. */
QL_API ql_code ql_template_render(const ql_template *tmpl, const ql_render *render, char **text, size_t *len,
                                  ql_error *err);

/* The model's own template, compiled at load. Messages are given to it as transformers' apply_chat_template does: without
 * keys that are null, and with reasoning (as "reasoning_content", "thinking" or "reasoning") under the names that
 * templates read, the first two. QL_E_NO_TEMPLATE when it has none, QL_E_TEMPLATE when it is wrong. */
QL_API ql_code ql_model_render(const ql_model *model, const ql_render *render, char **text, size_t *len,
                               ql_error *err);

/* Whether ql_model_render has a template to work with, and if not, its error: asked before there is a message. A template
 * that would refuse some messages is fine here. */
QL_API ql_code ql_model_check_template(const ql_model *model, ql_error *err);

/* As ql_model_render, then to ids: text that came from a message never becomes a control token. */
QL_API ql_code ql_model_render_ids(const ql_model *model, const ql_render *render, int32_t **ids, size_t *n_ids,
                                   ql_error *err);

/* ---- answers ---------------------------------------------------------------------------------------------------- */

/* Takes apart what a model answered in a chat. The marks that are looked for are those that its chat template speaks of:
 * <think> and the like around reasoning; for tool calls the ways of Hermes and Qwen, Qwen3-Coder, Llama 3 and 4, Mistral,
 * DeepSeek, gpt-oss, Gemma, Granite, GLM, Kimi, MiniMax, Command R and others. What looks like a call and can not be read
 * as one is content, its marks included; nothing in an answer is an error. */
typedef struct ql_answer ql_answer;

typedef struct ql_answer_options {
    const char *chat_template; /* string, the Jinja source; NULL: everything is content */
    const char *prompt;        /* what was rendered, or its end: behind an opening mark ("<think>\n") the answer begins in
                                  reasoning; NULL: not known */
    size_t prompt_len;
    const char *tools;         /* string, JSON: what was offered; NULL: nothing, so that no calls are looked for */
} ql_answer_options;

/* The parts so far; each only grows, so what was added since the last look is what a stream passes on. White space where
 * two parts meet is in neither; two sections of one part are joined by an empty line. */
typedef struct ql_answer_parts {
    const char *content, *reasoning, *raw; /* valid until the next call on the answer, NUL-terminated */
    size_t content_len, reasoning_len, raw_len;
    const char *tool_calls; /* JSON: [{"type": "function", "function": {"name": ..., "arguments": {...}}, "id": ...}],
                               the id only where the model gave one */
    size_t tool_calls_len, n_tool_calls;
} ql_answer_parts;

/* The caller closes the answer. It copies what it needs. */
QL_API ql_answer *ql_answer_open(const ql_answer_options *options, ql_error *err);
QL_API void ql_answer_close(ql_answer *answer);

/* Adds a piece of generated text, of whole UTF-8 characters; last: nothing follows, so what was held back is decided. */
QL_API ql_code ql_answer_feed(ql_answer *answer, const char *text, size_t len, bool last, ql_error *err);
QL_API void ql_answer_get(const ql_answer *answer, ql_answer_parts *parts);

/* ---- generation ------------------------------------------------------------------------------------------------ */

typedef struct ql_logit_bias {
    int32_t id;
    float bias; /* added to the logit; -INFINITY forbids the token */
} ql_logit_bias;

typedef struct ql_string {
    const char *text;
    size_t len;
} ql_string;

/* Sampling, in the order in which it acts. Take ql_params_default() and change fields. */
typedef struct ql_params {
    const ql_logit_bias *logit_bias;
    size_t n_logit_bias;
    double repetition_penalty; /* > 0; of prompt and new tokens; 1 is off (Keskar et al. 2019) */
    double frequency_penalty;  /* -2 to 2; new tokens only, times count */
    double presence_penalty;   /* -2 to 2; new tokens only, once */
    bool do_sample;            /* false: greedy */
    double temperature;        /* >= 0; 0 is greedy */
    int32_t top_k;             /* >= 0; 0 is off */
    double top_p;              /* (0, 1]; 1 is off (Holtzman et al. 2020) */
    double min_p;              /* [0, 1]; 0 is off (Nguyen et al. 2024) */
    double typical_p;          /* (0, 1]; 1 is off (Meister et al. 2023) */
    uint64_t seed;             /* with has_seed; else fresh entropy for each prompt */
    bool has_seed;
    int32_t max_new_tokens;    /* >= 1 */
    const ql_string *stop_strings;
    size_t n_stop_strings;     /* up to 64 of up to 1024 bytes, none empty */
    bool ignore_eos;           /* go on after an end-of-text token (benchmarks) */
    bool no_speculation;       /* compute token after token; else tokens that the text itself suggests are computed ahead
                                  and kept where they are right: the same text, sooner */
    bool keep_special;         /* control tokens in the answer give their text, which ql_answer_feed() wants */
} ql_params;

/* temperature 0.7, top_p 0.9, top_k 50, repetition_penalty 1.1, do_sample, max_new_tokens 512, the rest off. */
QL_API ql_params ql_params_default(void);

/* The model's own recommendation: what generation_config.json says, and each parameter's neutral value where it says
 * nothing (temperature 1, top_k 0, top_p 1, ..., do_sample false, max_new_tokens 512). */
QL_API ql_params ql_model_default_params(const ql_model *model);

/* Checks every range; the message is "temperature must be >= 0, got -1". */
QL_API ql_code ql_params_check(const ql_params *params, ql_error *err);

/* Exactly one of text and ids. A text is tokenized with QL_ADD_SPECIAL and QL_PARSE_SPECIAL, ids stay as they are. */
typedef struct ql_prompt {
    const char *text;
    size_t len;
    const int32_t *ids;
    size_t n_ids;
    bool no_parse_special; /* what spells a control token in text stays text */
} ql_prompt;

typedef enum ql_finish {
    QL_FINISH_NONE = 0, /* still running */
    QL_FINISH_STOP,     /* an end-of-text token or a stop string */
    QL_FINISH_LENGTH,   /* max_new_tokens, or the end of the context */
    QL_FINISH_CANCELLED,
} ql_finish;

/* A piece of generated text: complete UTF-8, never part of a stop string. */
typedef struct ql_piece {
    const char *text; /* valid until the next call on the session; NULL when everything has ended */
    size_t len;       /* may be 0 */
    size_t index;     /* which prompt */
    ql_finish finish; /* other than NONE: the last piece of this prompt */
} ql_piece;

typedef struct ql_session ql_session;

/* A session holds the key/value caches of its sequences and reuses them: a prompt that begins like the one before
 * is computed from the first difference on. The caller frees it. */
QL_API ql_session *ql_session_new(ql_model *model, ql_error *err);
QL_API void ql_session_free(ql_session *session);

/* Starts generating for n prompts, with params for each as if it were alone; copies what it needs. Any generation
 * already under way ends. Work is done in ql_next(). */
QL_API ql_code ql_generate(ql_session *session, const ql_prompt *prompts, size_t n, const ql_params *params,
                           ql_error *err);

/* Computes until a piece of text is ready. After the last piece, *piece is all zero. An error ends the generation. */
QL_API ql_code ql_next(ql_session *session, ql_piece *piece, ql_error *err);

/* Makes a ql_next() under way on another thread, or the next one, end every prompt with QL_FINISH_CANCELLED: within
 * one token in decoding, within one chunk of a prompt. Async-signal-safe. */
QL_API void ql_cancel(ql_session *session);

typedef struct ql_usage {
    uint64_t n_prompt;        /* tokens of all prompts */
    uint64_t n_prompt_cached; /* of which were in the cache */
    uint64_t n_new;           /* tokens generated */
    uint64_t n_drafted;       /* drafted, and computed beside the token before them */
    uint64_t n_accepted; /* of which became text */
    double prompt_seconds;
    double decode_seconds;
} ql_usage;

/* Figures of the generation under way or the last one. */
QL_API void ql_session_get_usage(const ql_session *session, ql_usage *usage);

/* Logits for each position of ids: out is [n_ids, n_vocab], row i predicts the token after ids[0..i]. ql_cancel() from
 * another thread ends it with QL_E_CANCELLED. */
QL_API ql_code ql_logits(ql_session *session, const int32_t *ids, size_t n_ids, float *out, ql_error *err);

/* Forgets the cached tokens of the session. */
QL_API void ql_session_reset(ql_session *session);

#ifdef __cplusplus
}
#endif
#endif
