// SPDX-License-Identifier: MIT
// What a model answered in a chat, taken apart: content, reasoning, tool calls. struct ql_answer of quantllm.h is defined
// in text/; its functions are in answer.c. Here is what its three parts share:
//
//   answer.c          the text so far, and which mark it is behind
//   answer_mark.c     the table of marks, chosen by what a chat template speaks of
//   answer_call.c     the text between two marks as tool calls
//   answer_literal.c  values as Python writes them
#ifndef QL_TEXT_ANSWER_H
#define QL_TEXT_ANSWER_H

#include <jansson.h>

#include "base/buf.h"

typedef enum {
    QL_MARK_DROP,     // says nothing: left out
    QL_MARK_REASONING, // opens reasoning
    QL_MARK_CALL,     // opens one or more tool calls
    QL_MARK_CHANNEL,  // opens a header that says what follows it (gpt-oss)
    QL_MARK_RECIPIENT, // opens a line that names who the text after it is for (Functionary)
} ql_mark_kind;

enum {
    QL_MARK_AT_START = 1, // only where no content came before
    QL_MARK_TO_END = 2,   // without `close`: all that follows
    QL_MARK_KEEP = 4,     // the mark belongs to the body
    QL_MARK_BARE = 8,     // the mark is ordinary text elsewhere: a call counts only when its name was offered
};

typedef struct ql_mark {
    ql_mark_kind kind;
    const char *open;
    const char *close;  // NULL: the end of the first balanced {} or [], see QL_MARK_TO_END
    const char *spoken; // what a template that uses this mark says; NULL: open or close
    unsigned flags;
} ql_mark;

// The marks that a template speaks of go to out, which has room for QL_MAX_MARKS; returns their number.
enum { QL_MAX_MARKS = 64 };
size_t ql_marks_of(const char *chat_template, const ql_mark **out);

// The tool calls in a body, appended to calls as {"id"?, "type": "function", "function": {"name", "arguments": {}}}.
// tools: what was offered, an array. recipient: the tool that a header named, or NULL. False: the body is something
// else, and calls is as before.
bool ql_read_calls(const ql_mark *mark, ql_string body, ql_string recipient, const json_t *tools, json_t *calls);

// A value as Python writes it, or JSON, or Gemma's object with bare keys and <|"|> or <escape> around strings; *at is
// moved behind it. NULL: no such value. The caller drops the reference.
json_t *ql_read_literal(const char **at, const char *end);
// f(a=1, b="x"), of any object path; positional arguments are named by the tool's schema. False: no such call.
bool ql_read_python_call(const char **at, const char *end, const json_t *tools, ql_string *name, json_t **arguments);

// The schema of one parameter of an offered tool (borrowed), NULL: not known.
const json_t *ql_offered(const json_t *tools, ql_string name);
static inline bool ql_is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool ql_string_begins(ql_string s, const char *prefix);
ql_string ql_string_trim(ql_string s);

#endif
