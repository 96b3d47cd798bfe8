// SPDX-License-Identifier: MIT
// Where a chat's messages come from: an edited line on a terminal, or plain lines from anything else.
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include "common.h"

typedef enum cli_event {
    CLI_LINE,        // a line, without its newline; pasted lines inside keep theirs
    CLI_LINE_END,    // end of input, Ctrl-D
    CLI_LINE_CLEAR,  // a signal came while something was on the line: it is gone
    CLI_LINE_SIGNAL, // a signal came at an empty line
    CLI_LINE_ERROR   // standard input cannot be read; the message has been printed
} cli_event;

typedef struct cli_terminal cli_terminal;

// Interactive: prompts, and with a terminal that can, line editing, history and bracketed paste.
cli_terminal *cli_terminal_open(bool interactive);
void cli_terminal_close(cli_terminal *terminal);

// prompt is ASCII. *line is emptied first.
cli_event cli_terminal_read(cli_terminal *terminal, const char *prompt, cli_text *line);

// Arrow up brings it back.
void cli_terminal_remember(cli_terminal *terminal, const char *text);
#endif
