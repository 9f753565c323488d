#include "cli/completion.h"

#include "cli/options.h"

#include <string.h>

// What may stand for an argument, told by its name in the usage line: FILE, [FILE], DIR...
enum value_kind {
    VALUE_ANY,
    VALUE_WORDS,
    VALUE_FILE,
    VALUE_TRACE,
    VALUE_FOLDER,
    VALUE_PROGRAM,
    VALUE_PROCESS
};

static const struct {
    const char *name; // the begin of the argument's name
    enum value_kind kind;
} VALUE_KINDS[] = {
    {"FILE", VALUE_FILE},       {"DIR", VALUE_FOLDER},  {"COMMAND", VALUE_PROGRAM},
    {"PROGRAM", VALUE_PROGRAM}, {"PID", VALUE_PROCESS},
};

static enum value_kind kind_of_name(const char *name) {
    for (size_t i = 0; i < sizeof VALUE_KINDS / sizeof *VALUE_KINDS; i++)
        if (!strncmp(name, VALUE_KINDS[i].name, strlen(VALUE_KINDS[i].name))) return VALUE_KINDS[i].kind;
    return VALUE_ANY;
}

static enum value_kind kind_of_option(const struct cli_option *o) {
    if (strchr(o->argument, '|')) return VALUE_WORDS;
    return kind_of_name(o->argument + strspn(o->argument, "[="));
}

// A file as the operand of a command is a recording.
static enum value_kind kind_of_operands(const struct cli_command *c) {
    if (c->program_follows) return VALUE_PROGRAM;
    if (!strcmp(c->operands, "[COMMAND]")) return VALUE_WORDS;
    enum value_kind kind = kind_of_name(c->operands + strspn(c->operands, "["));
    return kind == VALUE_FILE ? VALUE_TRACE : kind;
}

static bool has_value(const struct cli_option *o) {
    return o->argument && !cli_option_optional(o);
}

// `text` within quotes of a shell that knows no escapes within '...' but 'a'\''b'. A character of `special` gets a backslash.
static void quoted(FILE *out, const char *text, const char *special) {
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else {
            if (strchr(special, *text)) fputc('\\', out);
            fputc(*text, out);
        }
    }
}

// "a|b" as "a b".
static void spaced(FILE *out, const char *words) {
    for (; *words; words++)
        fputc(*words == '|' ? ' ' : *words, out);
}

static void command_names(FILE *out, const struct cli_command *const *commands) {
    for (size_t i = 0; commands[i]; i++)
        fprintf(out, "%s%s", i ? " " : "", commands[i]->name);
}

// ---- bash ------------------------------------------------------------------------------------------------------

static const char *const BASH_KINDS[] = {
    [VALUE_ANY] = ":",
    [VALUE_WORDS] = "",
    [VALUE_FILE] = "_refork_offer -f",
    [VALUE_TRACE] = "_refork_traces",
    [VALUE_FOLDER] = "_refork_offer -d",
    [VALUE_PROGRAM] = "_refork_offer -c",
    [VALUE_PROCESS] = "_refork_processes",
};

static void bash_kind(FILE *out, enum value_kind kind, const char *words) {
    if (kind != VALUE_WORDS) {
        fputs(BASH_KINDS[kind], out);
        return;
    }
    fputs("_refork_offer -W '", out);
    spaced(out, words);
    fputc('\'', out);
}

static void bash_command(FILE *out, const struct cli_command *c) {
    fprintf(out, "    %s)\n        options='", c->name);
    for (const struct cli_option *o = c->options; o->name; o++)
        fprintf(out, "--%s ", o->name);
    fprintf(out, "--%s'\n        takes=' ", cli_help_option.name);
    for (const struct cli_option *o = c->options; o->name; o++)
        if (has_value(o)) {
            if (o->letter) fprintf(out, "-%c ", o->letter);
            fprintf(out, "--%s ", o->name);
        }
    fprintf(out, "'\n        program=%d\n        ;;\n", c->program_follows);
}

static void bash_values(FILE *out, const struct cli_command *const *commands) {
    for (size_t i = 0; commands[i]; i++)
        for (const struct cli_option *o = commands[i]->options; o->name; o++) {
            if (!has_value(o)) continue;
            fprintf(out, "    '%s --%s'", commands[i]->name, o->name);
            if (o->letter) fprintf(out, " | '%s -%c'", commands[i]->name, o->letter);
            fputs(") ", out);
            bash_kind(out, kind_of_option(o), o->argument);
            fputs(" ;;\n", out);
        }
}

static void bash_operands(FILE *out, const struct cli_command *const *commands) {
    for (size_t i = 0; commands[i]; i++) {
        fprintf(out, "        %s) ", commands[i]->name);
        if (kind_of_operands(commands[i]) == VALUE_WORDS) {
            fputs("_refork_offer -W '", out);
            command_names(out, commands);
            fputc('\'', out);
        } else
            bash_kind(out, kind_of_operands(commands[i]), NULL);
        fputs(" ;;\n", out);
    }
}

static void bash_helpers(FILE *out) {
    fputs("# shellcheck shell=bash\n"
          "# bash completion of refork, made by 'refork help --completion bash'.\n"
          "_refork_offer() { mapfile -t COMPREPLY < <(compgen \"$@\" -- \"$current\"); }\n"
          "_refork_traces() {\n"
          "    mapfile -t COMPREPLY < <(\n"
          "        compgen -f -X '!*.refork' -- \"$current\"\n"
          "        compgen -d -- \"$current\"\n"
          "    )\n"
          "}\n"
          "_refork_processes() {\n"
          "    mapfile -t COMPREPLY < <(\n"
          "        compgen -W \"$(cd /proc 2>/dev/null && echo [0-9]*)\" -- \"$current\"\n"
          "        compgen -f -- \"$current\"\n"
          "    )\n"
          "}\n"
          "# What follows the word with that index is another program's command line.\n"
          "_refork_program() {\n"
          "    if declare -F _command_offset >/dev/null; then _command_offset \"$1\"; else _refork_offer -f; "
          "fi\n"
          "}\n",
          out);
}

static void bash(FILE *out, const struct cli_command *const *commands) {
    bash_helpers(out);
    fputs("_refork() {\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} options takes "
          "program i\n"
          "    local command=${COMP_WORDS[1]}\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        _refork_offer -W '",
          out);
    command_names(out, commands);
    fputs(" --help --version'\n"
          "        return\n"
          "    fi\n"
          "    case $command in\n",
          out);
    for (size_t i = 0; commands[i]; i++)
        bash_command(out, commands[i]);
    fputs("    *) return ;;\n"
          "    esac\n"
          "    for ((i = 2; i < COMP_CWORD; i++)); do\n"
          "        case ${COMP_WORDS[i]} in\n"
          "        --) _refork_program $((i + 1)) && return ;;\n"
          "        -*) [[ $takes != *\" ${COMP_WORDS[i]} \"* ]] || ((i++)) ;;\n"
          "        *) [ \"$program\" = 0 ] || { _refork_program \"$i\" && return; } ;;\n"
          "        esac\n"
          "    done\n"
          "    case \"$command $previous\" in\n",
          out);
    bash_values(out, commands);
    fputs("    *)\n"
          "        if [[ $current == -* ]]; then\n"
          "            _refork_offer -W \"$options\"\n"
          "            return\n"
          "        fi\n"
          "        case $command in\n",
          out);
    bash_operands(out, commands);
    fputs("        esac\n"
          "        ;;\n"
          "    esac\n"
          "}\n"
          "complete -o filenames -F _refork refork\n",
          out);
}

// ---- zsh -------------------------------------------------------------------------------------------------------

static const char *const ZSH_KINDS[] = {
    [VALUE_ANY] = " ",
    [VALUE_WORDS] = "",
    [VALUE_FILE] = "_files",
    [VALUE_TRACE] = "_files -g \"*.refork\"",
    [VALUE_FOLDER] = "_files -/",
    [VALUE_PROGRAM] = "_command_names -e",
    [VALUE_PROCESS] = "_alternative \"processes\\:process\\:_pids\" \"files\\:core file\\:_files\"",
};

static void zsh_option(FILE *out, const struct cli_option *o) {
    // _arguments: '(-o --output)'{-o,--output=}'[help]:FILE:action'
    if (o->letter)
        fprintf(out, " \\\n            '(-%c --%s)'{-%c%s,--%s%s}'[", o->letter, o->name, o->letter,
                has_value(o) ? "+" : "", o->name, has_value(o) ? "=" : "");
    else
        fprintf(out, " \\\n            '--%s%s[", o->name, has_value(o) ? "=" : "");
    quoted(out, o->help, "[]:");
    fputc(']', out);
    if (has_value(o)) {
        fputc(':', out);
        quoted(out, o->argument, ":");
        fputc(':', out);
        if (kind_of_option(o) == VALUE_WORDS) {
            fputc('(', out);
            spaced(out, o->argument);
            fputc(')', out);
        } else
            fputs(ZSH_KINDS[kind_of_option(o)], out);
    }
    fputc('\'', out);
}

static void zsh(FILE *out, const struct cli_command *const *commands) {
    fputs("#compdef refork\n"
          "# zsh completion of refork, made by 'refork help --completion zsh'.\n"
          "_refork() {\n"
          "    local -a commands=(\n",
          out);
    for (size_t i = 0; commands[i]; i++) {
        fprintf(out, "        '%s:", commands[i]->name);
        quoted(out, commands[i]->summary, ":");
        fputs("'\n", out);
    }
    fputs("    )\n"
          "    if ((CURRENT == 2)); then\n"
          "        _describe -t commands 'refork command' commands\n"
          "        _arguments '--help[show the commands]' '--version[show the version]'\n"
          "        return\n"
          "    fi\n"
          "    local command=${words[2]}\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "    case $command in\n",
          out);
    for (size_t i = 0; commands[i]; i++) {
        const struct cli_command *c = commands[i];
        fprintf(out, "    %s)\n        _arguments -s%s", c->name, c->program_follows ? " -A '-*'" : "");
        for (const struct cli_option *o = c->options; o->name; o++)
            zsh_option(out, o);
        zsh_option(out, &cli_help_option);
        enum value_kind kind = kind_of_operands(c);
        if (kind == VALUE_PROGRAM)
            fputs(" \\\n            '(-)1:program:_command_names -e' '*::argument:_normal'", out);
        else if (kind == VALUE_WORDS)
            fputs(" \\\n            '1:command:{_describe -t commands command commands}'", out);
        else if (c->operands[0])
            fprintf(out, " \\\n            '*:file:%s'", ZSH_KINDS[kind]);
        fputs("\n        ;;\n", out);
    }
    fputs("    esac\n}\n_refork \"$@\"\n", out);
}

// ---- fish ------------------------------------------------------------------------------------------------------

static const char *const FISH_KINDS[] = {
    [VALUE_ANY] = " -x",
    [VALUE_WORDS] = " -x",
    [VALUE_FILE] = " -rF",
    [VALUE_TRACE] = " -x -a '(__fish_complete_suffix .refork)'",
    [VALUE_FOLDER] = " -x -a '(__fish_complete_directories)'",
    [VALUE_PROGRAM] = " -x -a '(__fish_complete_command)'",
    [VALUE_PROCESS] = " -rF -a '(__fish_complete_pids)'",
};

static void fish_option(FILE *out, const char *command, const struct cli_option *o) {
    fprintf(out, "complete -c refork -n '__refork_in %s' -l %s", command, o->name);
    if (o->letter) fprintf(out, " -s %c", o->letter);
    if (has_value(o)) fputs(FISH_KINDS[kind_of_option(o)], out);
    if (has_value(o) && kind_of_option(o) == VALUE_WORDS) {
        fputs(" -a '", out);
        spaced(out, o->argument);
        fputc('\'', out);
    }
    fputs(" -d '", out);
    quoted(out, o->help, "\\");
    fputs("'\n", out);
}

static void fish(FILE *out, const struct cli_command *const *commands) {
    fputs("# fish completion of refork, made by 'refork help --completion fish'.\n"
          "function __refork_in\n"
          "    set -l words (commandline -opc)\n"
          "    test (count $words) -gt 1; and test $words[2] = $argv[1]\n"
          "end\n"
          "complete -c refork -f\n"
          "complete -c refork -n __fish_use_subcommand -l version -d 'show the version'\n",
          out);
    for (size_t i = 0; commands[i]; i++) {
        const struct cli_command *c = commands[i];
        fprintf(out, "complete -c refork -n __fish_use_subcommand -a %s -d '", c->name);
        quoted(out, c->summary, "\\");
        fputs("'\n", out);
        for (const struct cli_option *o = c->options; o->name; o++)
            fish_option(out, c->name, o);
        fish_option(out, c->name, &cli_help_option);
        enum value_kind kind = kind_of_operands(c);
        if (kind == VALUE_WORDS) {
            fprintf(out, "complete -c refork -n '__refork_in %s' -a '", c->name);
            command_names(out, commands);
            fputs("'\n", out);
        } else if (kind == VALUE_PROGRAM)
            fprintf(out,
                    "complete -c refork -n '__refork_in %s' -a '(__fish_complete_subcommand --fcs-skip=2)'\n",
                    c->name);
        else if (c->operands[0])
            fprintf(out, "complete -c refork -n '__refork_in %s' -k%s\n", c->name, FISH_KINDS[kind]);
    }
}

// ---- all -------------------------------------------------------------------------------------------------------

static const struct {
    const char *name;
    void (*write)(FILE *out, const struct cli_command *const *commands);
} SHELLS[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

int cli_completion(FILE *out, const char *shell, const struct cli_command *const *commands,
                   struct rf_error *err) {
    for (size_t i = 0; i < sizeof SHELLS / sizeof *SHELLS; i++)
        if (!strcmp(shell, SHELLS[i].name)) {
            SHELLS[i].write(out, commands);
            return 0;
        }
    return rf_fail(err, RF_CANNOT, "no completion for the shell '%s': give bash, zsh or fish", shell);
}
