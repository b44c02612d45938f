/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the configuration: text → rewritten text → libconfuse's tree → struct config. The only file that knows
 * libconfuse.
 *
 * libconfuse 3.3 is used as a grammar and nothing more. Before it sees the text we take out what it reads otherwise
 * than our manual says: it puts environment variables into ${…} (for us `$` is literal), refuses comments within a
 * list, counts two lines for a comment, drops stray `*` and `+`, and takes a file for good that ends within a text or a
 * section. Every option is a CFGT_PTR whose value is the text and the line it stands on, so that whatever is wrong
 * later can be said with its line; what a value means is decided here, by our tables. A message never repeats a value
 * that is not known to be harmless: it may be a secret in the wrong place. It does not look into the secrets
 * (provider), nor into the data folder but for the keys. */
#include "core/config.h"

#include "base/nearest.h"
#include "base/os.h"
#include "core/config_build.h"
#include "core/secrets.h"
#include "store/store.h"

#include <arpa/inet.h>
#include <confuse.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_FILE   "/etc/payhook/payhook.conf"
#define DEFAULT_LISTEN "127.0.0.1:8080"
#define DEFAULT_ADMIN  "127.0.0.1:8081"

enum { SETTINGS_MAX = 64 }; /* of one source stanza: a bug beyond */

/* An option's value, as the tree holds it. */
struct value {
    int line;
    struct str text; /* in memory, NUL behind it */
    char memory[];
};

struct build {
    struct config *config;
    cfg_t *tree;
    const char *file;
    config_read *read;
    void *reader;
    config_warn *warn;
    void *context;
    struct writer *message;
};

/* libconfuse hands no context to its callbacks, so this is where the one parse of this thread writes. */
struct parsing {
    const char *file;
    struct writer *message;
    cfg_t *tree;
    bool failed;
};
static _Thread_local struct parsing *parsing;

/* Numbers of the section limits. To add one: a member of config_limits, a row, a line of payhook.conf(5). */
static const struct limit_row {
    const char *name;
    size_t offset, size; /* in struct config_limits */
    uint64_t min, max;
    uint64_t preset; /* 0: the number of cores, at most IO_THREADS_MAX */
} LIMITS[] = {
#define LIMIT(name, min, max, preset)                                                                                  \
    { #name, offsetof(struct config_limits, name), sizeof((struct config_limits *)0)->name, min, max, preset }
    // clang-format off
    LIMIT(body_size_max,      1024,            16 << 20,      BODY_SIZE_MAX),
    LIMIT(body_budget_size,   BODY_PIECE_SIZE, 1ULL << 40,    BODY_BUDGET_SIZE),
    LIMIT(mailbox_events_max, 1,               1 << 20,       MAILBOX_EVENTS_MAX),
    LIMIT(io_threads,         1,               256,           0),
    LIMIT(head_deadline_s,    1,               3600,          HEAD_DEADLINE_S),
    LIMIT(body_deadline_s,    1,               3600,          BODY_DEADLINE_S),
    LIMIT(idle_deadline_s,    1,               3600,          IDLE_DEADLINE_S),
    LIMIT(connections_max,    1,               1000 * 1000,   CONNECTIONS_MAX),
// clang-format on
#undef LIMIT
};
enum { LIMIT_COUNT = sizeof LIMITS / sizeof *LIMITS };

/* The words of each section, for the tree and for "did you mean". */
static const char *const ROOT_WORDS[] = {"listen", "admin", "data", "store", "iam", "limits", "source", "tls", NULL};
static const char *const IAM_WORDS[] = {"region", "service", "require_api_key", "api_key", NULL};
static const char *const TLS_WORDS[] = {"certificate", "key", NULL};
static const char *const STORE_WORDS[] = {"sqlite", "memory", "dynamodb:TABLE", NULL};
enum { ROOT_TEXTS = 4, IAM_TEXTS = 4 }; /* the first words are options, the rest sections */

static const char *root_word(size_t i) { return ROOT_WORDS[i]; }
static const char *iam_word(size_t i) { return IAM_WORDS[i]; }
static const char *tls_word(size_t i) { return TLS_WORDS[i]; }
static const char *store_word(size_t i) { return STORE_WORDS[i]; }
static const char *limits_word(size_t i) { return i < LIMIT_COUNT ? LIMITS[i].name : NULL; }
static const char *source_word(size_t i) {
    return i == 0 ? "provider" : i == 1 ? "secrets" : provider_setting_at(i - 2);
}

/* Settings that are references: source_set takes what they name. */
static const char *const REFERENCE_SETTINGS[] = {"certificate", "public_key"};

static const struct section {
    const char *name;
    word_at *words;
} SECTIONS[] = {
    {"root", root_word}, {"iam", iam_word}, {"limits", limits_word}, {"source", source_word}, {"tls", tls_word}};

static struct err input_error(void) { return err_make(ERR_INPUT, 0, "use the configuration"); }
static struct err memory_error(void) { return err_make(ERR_MEMORY, 0, "keep the configuration"); }

static void write_place(struct writer *message, const char *file, int line) {
    writer_escaped(message, str_from(file));
    writer_format(message, ":%d: ", line);
}

/* The word in quotes, and the known one it is like. What is like none and no plain short word is only called "this". */
static void write_unknown(struct writer *message, struct str word, word_at *words) {
    const char *nearest = nearest_word(word, words);
    bool harmless = word.len > 0 && word.len <= 20;
    for (size_t i = 0; i < word.len; i++) {
        char c = word.ptr[i];
        harmless = harmless && ((c >= 'a' && c <= 'z') || c == '_' || c == '-');
    }
    if (harmless || nearest != NULL) {
        writer_char(message, '\'');
        writer_escaped(message, word);
        writer_char(message, '\'');
    } else {
        writer_put(message, STR("this"));
    }
    if (nearest != NULL) writer_format(message, "; did you mean %s?", nearest);
}

/* ------------------------------------------------------------------ the text, as libconfuse is to see it */

/* Opens each section in the rewritten text: an option of ours that notes the section's first line. */
#define LINE_MARK "{ @ = @ "

struct rewriting {
    struct str text;
    size_t at;
    int line;
    int section_line; /* where the section we are in was opened, 0: we are in none */
    bool in_list;
    char *out; /* grows by a mark at each brace and a byte at each $ */
    size_t out_size;
};

static void put(struct rewriting *r, char c) { r->out[r->out_size++] = c; }
static char peek(const struct rewriting *r, size_t ahead) {
    return r->at + ahead < r->text.len ? r->text.ptr[r->at + ahead] : '\0';
}
static bool is_control(char c) { return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f; }

/* Copies a quoted text, quotes included. Returns what is wrong with it, or NULL. */
static const char *rewrite_quoted(struct rewriting *r) {
    char quote = peek(r, 0);
    put(r, quote);
    for (r->at++; r->at < r->text.len; r->at++) {
        char c = peek(r, 0), next = peek(r, 1);
        if (c == '\n' || c == '\r') break;
        if (is_control(c)) return "a control character stands in this text";
        if (c == '$' && quote == '"') put(r, '\\');
        put(r, c);
        if (c == quote) {
            r->at++;
            return NULL;
        }
        if (c != '\\') continue;
        if (quote == '"' && ((next >= '0' && next <= '9') || next == 'x'))
            return "\\ with a number is not taken in a text; write the character itself";
        if (r->at + 1 == r->text.len || is_control(next)) break;
        put(r, next);
        r->at++;
    }
    return "this text has no closing quote on its line";
}

/* Skips a comment, but for its line ends. Returns what is wrong with it, or NULL. */
static const char *rewrite_comment(struct rewriting *r) {
    if (peek(r, 0) == '#' || peek(r, 1) == '/') {
        while (r->at < r->text.len && peek(r, 0) != '\n')
            r->at++;
        return NULL;
    }
    struct str rest = str_from_index(r->text, r->at + 2);
    const char *end = memmem(rest.ptr, rest.len, "*/", 2);
    if (end == NULL) return "this comment has no end";
    for (; r->text.ptr + r->at < end; r->at++) {
        if (peek(r, 0) != '\n') continue;
        put(r, '\n');
        r->line++;
    }
    put(r, ' ');
    r->at += 2;
    return NULL;
}

static void rewrite_open(struct rewriting *r, char last) {
    r->in_list = last == '=';
    if (!r->in_list) r->section_line = r->line;
    for (const char *mark = r->in_list ? "{" : LINE_MARK; *mark != '\0'; mark++)
        put(r, *mark);
}

static void rewrite_close(struct rewriting *r) {
    if (!r->in_list) r->section_line = 0;
    r->in_list = false;
    put(r, '}');
}

static const char *rewrite_all(struct rewriting *r) {
    const char *fault = NULL;
    char last = '\0';     /* the byte before this one that is no blank, comment or line end */
    bool in_word = false; /* within an unquoted word // is no comment, for libconfuse too */
    while (fault == NULL && r->at < r->text.len) {
        char c = peek(r, 0), next = peek(r, 1);
        bool blank = c == ' ' || c == '\t' || c == '\n' || (c == '\r' && next == '\n');
        if (c == '#' || (!in_word && c == '/' && (next == '/' || next == '*'))) {
            fault = rewrite_comment(r);
            in_word = false;
            continue;
        }
        if (c == '"' || c == '\'') {
            fault = rewrite_quoted(r);
            in_word = false;
            last = c;
            continue;
        }
        if (!blank && is_control(c)) return "a control character stands here";
        if (c == '*' || (c == '+' && next != '=') || (c == '$' && next == '{'))
            return "put a text with *, + or ${ in it in quotes";
        if (c == '{')
            rewrite_open(r, last);
        else if (c == '}')
            rewrite_close(r);
        else
            put(r, c == '\r' ? ' ' : c);
        r->line += c == '\n';
        in_word = !blank && strchr("{}()=+,", c) == NULL;
        if (!blank) last = c;
        r->at++;
    }
    if (fault == NULL && r->section_line != 0) {
        r->line = r->section_line;
        fault = "the section that begins here has no closing brace";
    }
    return fault;
}

/* The caller frees *ret_text. */
static struct err rewrite(struct str text, const char *file, struct writer *message, char **ret_text) {
    size_t size = text.len + 1;
    for (size_t i = 0; i < text.len; i++)
        size += text.ptr[i] == '{' ? sizeof LINE_MARK : text.ptr[i] == '$' ? 1 : 0;
    struct rewriting r = {.text = text, .line = 1, .out = malloc(size)};
    if (r.out == NULL) return memory_error();
    const char *fault = rewrite_all(&r);
    if (fault != NULL) {
        write_place(message, file, r.line);
        writer_put(message, str_from(fault));
        free(r.out);
        return input_error();
    }
    check(r.out_size < size);
    r.out[r.out_size] = '\0';
    *ret_text = r.out;
    return err_ok();
}

/* ------------------------------------------------------------------ the tree */

#define NO_OPTION "no such option '%s'"

/* libconfuse's own words that repeat what stands in the file, which may be half a secret, and ours instead. The rest of
 * its messages names options only. */
static const struct {
    const char *format, *sentence;
} SENTENCES[] = {
    {"unexpected token '%s'", "this does not fit here; look for a missing comma, quote, brace or equal sign"},
    {"found duplicate title '%s'", "there is a source of this name already; rename one of them"},
    {"no sub-section title/index for '%s'", "there is no option this"},
    {"no sub-section '%s' in '%s'", "there is no option this"},
};

static word_at *words_of(cfg_t *section) {
    for (size_t i = 0; i < sizeof SECTIONS / sizeof *SECTIONS; i++) {
        if (strcmp(SECTIONS[i].name, cfg_name(section)) == 0) return SECTIONS[i].words;
    }
    check_failed("a section of ours", __FILE__, __LINE__);
}

__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *section, const char *format, va_list arguments) {
    struct writer *message = parsing->message;
    if (parsing->failed) return; /* the first one is the cause */
    parsing->failed = true;
    write_place(message, parsing->file, section->line);
    if (strcmp(format, NO_OPTION) == 0) {
        if (section != parsing->tree) writer_format(message, "%s: ", cfg_name(section));
        writer_put(message, STR("there is no option "));
        write_unknown(message, str_from(va_arg(arguments, const char *)), words_of(section));
        return;
    }
    for (size_t i = 0; i < sizeof SENTENCES / sizeof *SENTENCES; i++) {
        if (strcmp(format, SENTENCES[i].format) != 0) continue;
        writer_put(message, str_from(SENTENCES[i].sentence));
        return;
    }
    char text[256];
    (void)vsnprintf(text, sizeof text, format, arguments); /* cut off where too long */
    writer_escaped(message, str_from(text));
}

static int on_value(cfg_t *section, cfg_opt_t *option, const char *text, void *result) {
    bool here = false; /* libconfuse takes "source|provider" for a path to another section's option */
    for (unsigned i = 0; i < cfg_num(section); i++)
        here = here || cfg_getnopt(section, i) == option;
    if (!here) {
        cfg_error(section, NO_OPTION, "");
        return -1;
    }
    /* The old value is gone by now, but def.number, which pointers have no use for, has counted. */
    if (option->nvalues <= 1 && option->def.number++ > 0) {
        bool mark = strcmp(option->name, "@") == 0;
        cfg_error(section, "%s is given twice", mark ? cfg_name(section) : option->name);
        return -1;
    }
    size_t len = strlen(text);
    struct value *value = malloc(sizeof *value + len + 1);
    if (value == NULL) {
        cfg_error(section, "no memory");
        return -1;
    }
    value->line = section->line;
    value->text = str_make(value->memory, len);
    memcpy(value->memory, text, len + 1);
    memcpy(result, &value, sizeof value); /* NOLINT(bugprone-sizeof-expression): a void ** behind a void * */
    return 0;
}

/* Called when a source stanza ends; early, since libconfuse compares each title with all others. */
static int on_source(cfg_t *tree, cfg_opt_t *option) {
    if (cfg_opt_size(option) <= SOURCES_MAX) return 0;
    cfg_error(tree, "there are more than %d sources", SOURCES_MAX);
    return -1;
}

static cfg_opt_t text_option(const char *name, cfg_flag_t flags) {
    cfg_opt_t option = CFG_PTR_CB(name, NULL, CFGF_NODEFAULT | flags, on_value, free);
    return option;
}

/* Fills options with the mark and the words of a section, and returns how many. */
static size_t section_options(word_at *words, size_t count_max, cfg_opt_t (*ret_options)[SETTINGS_MAX]) {
    const cfg_opt_t end = CFG_END();
    size_t count = 0;
    (*ret_options)[count++] = text_option("@", 0);
    for (size_t i = 0; i < count_max && words(i) != NULL; i++) {
        check(count < SETTINGS_MAX - 5); /* the root adds its sections */
        (*ret_options)[count++] = text_option(words(i), strcmp(words(i), "secrets") == 0 ? CFGF_LIST : 0);
    }
    (*ret_options)[count] = end;
    return count;
}

static cfg_t *tree_make(void) {
    cfg_opt_t root[SETTINGS_MAX], iam[SETTINGS_MAX], limits[SETTINGS_MAX], source[SETTINGS_MAX], tls[SETTINGS_MAX];
    (void)section_options(iam_word, IAM_TEXTS, &iam);
    (void)section_options(limits_word, SIZE_MAX, &limits);
    (void)section_options(source_word, SIZE_MAX, &source);
    (void)section_options(tls_word, SIZE_MAX, &tls);
    size_t count = section_options(root_word, ROOT_TEXTS, &root);
    const cfg_opt_t sections[] = {
        CFG_SEC("iam", iam, 0),
        CFG_SEC("limits", limits, 0),
        CFG_SEC("source", source, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
        CFG_SEC("tls", tls, 0),
        CFG_END(),
    };
    memcpy(root + count, sections, sizeof sections);
    root[count + 2].validcb = on_source;
    return cfg_init(root, CFGF_NONE);
}

/* The caller frees *ret_tree with cfg_free, which resets libconfuse's scanner as well. */
static struct err tree_parse(struct str text, const char *file, struct writer *message, cfg_t **ret_tree) {
    char *rewritten;
    TRY(rewrite(text, file, message, &rewritten));
    cfg_t *tree = tree_make();
    if (tree == NULL) {
        free(rewritten);
        return memory_error();
    }
    struct parsing now = {.file = file, .message = message, .tree = tree};
    check(parsing == NULL);
    parsing = &now;
    (void)cfg_set_error_function(tree, on_error);
    int result = cfg_parse_buf(tree, rewritten);
    parsing = NULL;
    free(rewritten);
    if (result == CFG_SUCCESS && !now.failed) {
        *ret_tree = tree;
        return err_ok();
    }
    if (!now.failed) {
        write_place(message, file, tree->line);
        writer_put(message, STR("this cannot be read"));
    }
    (void)cfg_free(tree); /* fails only on NULL */
    return input_error();
}

/* ------------------------------------------------------------------ the configuration */

static const struct value *value_at(cfg_t *section, const char *name, unsigned index) {
    return cfg_getnptr(section, name, index);
}
static const struct value *value_of(cfg_t *section, const char *name) { return value_at(section, name, 0); }

/* Begins a message about a value; NULL: it came from the command line or the environment. */
static void place(const struct build *b, const struct value *value, const char *name) {
    if (value != NULL) write_place(b->message, b->file, value->line);
    writer_format(b->message, "%s: ", name);
}

static struct err keep(struct build *b, struct str text, char **ret_text) {
    return config_keep(b->config, text, ret_text);
}

/* Reads what a reference names; the configuration then owns it. */
static struct err fetch(struct build *b, struct str reference, struct writer *message, struct secret_texts *ret_texts) {
    TRY(config_keep_reference(b->config, reference));
    TRY(b->read(b->reader, reference, message, ret_texts));
    check(ret_texts->count >= 1 && ret_texts->count <= SOURCE_SECRETS_MAX);
    struct err result = err_ok();
    for (uint32_t i = 0; i < ret_texts->count; i++) {
        struct err kept = config_keep_secret(b->config, ret_texts->texts[i]);
        if (err_is(kept)) result = kept;
    }
    return result;
}

static struct err take_address(struct build *b, const char *name, const char *override, const char *preset,
                               char **ret_text) {
    const struct value *value = override == NULL ? value_of(b->tree, name) : NULL;
    struct str text = override != NULL ? str_from(override) : value != NULL ? value->text : str_from(preset);
    char host[INET6_ADDRSTRLEN];
    uint16_t port;
    bool none = strcmp(name, "admin") == 0 && (text.len == 0 || str_eq(text, STR("none")));
    if (none) text = STR("");
    if (!none && !config_split_address(text, host, sizeof host, &port)) {
        place(b, value, name);
        writer_put(b->message,
                   STR("this is not a numeric ADDRESS:PORT, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080"));
        return input_error();
    }
    return keep(b, text, ret_text);
}

/* Where the data is when nobody says (XDG Base Directory Specification: a relative XDG_DATA_HOME is to be ignored). */
static struct err keep_default_data(struct build *b, char **ret_data) {
    char path[4096];
    struct writer w = writer_make(path, sizeof path);
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (geteuid() == 0)
        writer_put(&w, STR("/var/lib/payhook"));
    else if (xdg != NULL && xdg[0] == '/')
        writer_format(&w, "%s/payhook", xdg);
    else if (home != NULL && home[0] == '/')
        writer_format(&w, "%s/.local/share/payhook", home);
    if (w.len == 0 || w.overflow) {
        writer_put(b->message,
                   STR("data: neither HOME nor XDG_DATA_HOME says where the data folder is; give --data DIR"));
        return input_error();
    }
    return keep(b, writer_str(&w), ret_data);
}

static struct err take_data(struct build *b, const char *override) {
    const struct value *value = override == NULL ? value_of(b->tree, "data") : NULL;
    if (override == NULL && value == NULL) return keep_default_data(b, &b->config->data);
    struct str text = override != NULL ? str_from(override) : value->text;
    if (text.len == 0) {
        place(b, value, "data");
        writer_put(b->message, STR("this names no folder"));
        return input_error();
    }
    return keep(b, text, &b->config->data);
}

static struct err take_store(struct build *b, const char *override) {
    const struct value *value = override == NULL ? value_of(b->tree, "store") : NULL;
    struct str text = override != NULL ? str_from(override) : value != NULL ? value->text : STR("sqlite");
    bool dynamodb = str_starts(text, STR("dynamodb:"));
    bool good = str_eq(text, STR("sqlite")) || str_eq(text, STR("memory"));
    if (dynamodb) good = store_is_table(str_from_index(text, strlen("dynamodb:")));
    if (good) return keep(b, text, &b->config->store);
    place(b, value, "store");
    if (dynamodb) {
        writer_put(b->message, STR("a table's name is 3 to 255 letters, digits, '_', '-' and '.'"));
    } else {
        writer_put(b->message, STR("there is no store "));
        write_unknown(b->message, text, store_word);
    }
    return input_error();
}

static struct err take_limits(struct build *b) {
    cfg_t *section = cfg_getsec(b->tree, "limits");
    struct config_limits *limits = &b->config->limits;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t threads = cores < 1 ? 1 : cores > IO_THREADS_MAX ? IO_THREADS_MAX : (uint64_t)cores;
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        const struct limit_row *row = &LIMITS[i];
        const struct value *value = value_of(section, row->name);
        uint64_t number = row->preset != 0 ? row->preset : threads;
        if (value != NULL && (!str_u64(value->text, row->max, &number) || number < row->min)) {
            place(b, value, row->name);
            writer_format(b->message, "this is a whole number from %llu to %llu, without a unit",
                          (unsigned long long)row->min, (unsigned long long)row->max);
            return input_error();
        }
        char *member = (char *)limits + row->offset;
        uint32_t narrow = (uint32_t)number;
        if (row->size == sizeof number)
            memcpy(member, &number, sizeof number);
        else
            memcpy(member, &narrow, sizeof narrow);
    }
    if (limits->body_size_max > DYNAMODB_BODY_SIZE_MAX && str_starts(str_from(b->config->store), STR("dynamodb:"))) {
        place(b, value_of(section, "body_size_max"), "body_size_max");
        writer_format(b->message, "a body is at most %d bytes where the store is dynamodb", DYNAMODB_BODY_SIZE_MAX);
        return input_error();
    }
    if (limits->body_budget_size >= limits->body_size_max) return err_ok();
    const struct value *value = value_of(section, "body_budget_size");
    place(b, value != NULL ? value : value_of(section, "body_size_max"), "body_budget_size");
    writer_put(b->message, STR("the bodies of all connections need at least body_size_max"));
    return input_error();
}

static struct err take_tls(struct build *b) {
    cfg_t *section = cfg_getsec(b->tree, "tls");
    const struct value *start = value_of(section, "@");
    char **const files[] = {&b->config->tls_certificate, &b->config->tls_key};
    for (size_t i = 0; start != NULL && TLS_WORDS[i] != NULL; i++) {
        const struct value *value = value_of(section, TLS_WORDS[i]);
        if (value == NULL || value->text.len == 0) {
            place(b, value != NULL ? value : start, "tls");
            writer_put(b->message, STR("this needs certificate = \"FILE\" and key = \"FILE\", both PEM"));
            return input_error();
        }
        TRY(keep(b, value->text, files[i]));
    }
    return err_ok();
}

static struct err take_scope(struct build *b, cfg_t *section, const char *name, const char *preset, char **ret_text) {
    const struct value *value = value_of(section, name);
    struct str text = value != NULL ? value->text : str_from(preset);
    bool good = text.len > 0 && text.len <= 64;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        good = good && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-');
    }
    if (good) return keep(b, text, ret_text);
    place(b, value, name);
    writer_put(b->message, STR("this is 1 to 64 lower-case letters, digits and '-'"));
    return input_error();
}

__attribute__((format(printf, 3, 4))) static void warn(const struct build *b, struct str name, const char *format,
                                                       ...) {
    char memory[4096];
    struct writer w = writer_make(memory, sizeof memory);
    char text[3072];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* cut off where too long */
    va_end(arguments);
    writer_put(&w, name.ptr == NULL ? STR("iam") : STR("source "));
    writer_put(&w, name);
    writer_put(&w, STR(": "));
    writer_put(&w, str_from(text));
    if (b->warn != NULL) b->warn(b->context, writer_str(&w));
}

/* Fetches what one reference of a source names (name STR_NONE: of the section iam), judges each secret of it, and adds
 * them to count secrets. What cannot be used is a warning; what is no reference at all is an error, since it may be a
 * secret where it must not stand. */
static struct err take_secret(struct build *b, const struct source *judge, struct str name, const struct value *value,
                              const char *option, struct secret (*secrets)[SOURCE_SECRETS_MAX], uint32_t *count) {
    struct str unused;
    if (!secret_is_reference(value->text)) {
        place(b, value, option);
        return secret_read(value->text, b->message, &unused); /* says so */
    }
    char sentence[2048], shown[1024];
    struct writer why = writer_make(sentence, sizeof sentence), reference = writer_make(shown, sizeof shown);
    struct secret_texts texts = {.count = 1};
    struct err result = fetch(b, value->text, &why, &texts);
    if (result.kind == ERR_MEMORY) return result;
    if (result.kind == ERR_OUTSIDE) { /* no warning: the server has a configuration that works */
        place(b, value, option);
        writer_put(b->message, str_from(writer_cstr(&why)));
        return result;
    }
    writer_escaped(&reference, value->text);
    if (err_is(result)) warn(b, name, "a secret is left out: %s", writer_cstr(&why));
    for (uint32_t i = 0; i < texts.count; i++) {
        struct secret secret = {.text = texts.texts[i]};
        if (err_is(result)) {
            secret = (struct secret){.fault = "cannot be read"};
        } else {
            secret.fault = source_secret_fault(judge, secret.text, false);
            if (secret.fault != NULL)
                warn(b, name, "the secret %s is left out: it %s", writer_cstr(&reference), secret.fault);
        }
        if (*count == SOURCE_SECRETS_MAX)
            warn(b, name, "a secret of %s is left out: there are more than %d", writer_cstr(&reference),
                 SOURCE_SECRETS_MAX);
        else
            (*secrets)[(*count)++] = secret;
    }
    if (secret_is_exposed(value->text))
        warn(b, name, "the secret %s can be read by everyone on this machine: chmod 600", writer_cstr(&reference));
    return err_ok();
}

static struct err take_iam(struct build *b) {
    cfg_t *section = cfg_getsec(b->tree, "iam");
    struct config *config = b->config;
    TRY(take_scope(b, section, "region", "us-east-1", &config->iam_region));
    TRY(take_scope(b, section, "service", "lambda", &config->iam_service));
    config->default_source = (struct source){.name = STR("default"), .row = provider_find(STR("iam"))};
    const struct source api_key = {.name = STR("default"), .row = provider_find(STR("api-key"))};
    check(config->default_source.row != NULL);
    check(api_key.row != NULL);

    const struct value *required = value_of(section, "require_api_key"), *key = value_of(section, "api_key");
    int answer = required == NULL ? 0 : cfg_parse_boolean(required->text.ptr);
    if (answer < 0) {
        place(b, required, "require_api_key");
        writer_put(b->message, STR("this is true or false"));
        return input_error();
    }
    config->require_api_key = answer == 1;
    if (config->require_api_key && key == NULL) {
        place(b, required, "require_api_key");
        writer_put(b->message, STR("this needs api_key = a reference, file:PATH, env:NAME or aws:NAME"));
        return input_error();
    }
    if (key == NULL) return err_ok();
    return take_secret(b, &api_key, STR_NONE, key, "api_key", &config->api_keys, &config->api_key_count);
}

static bool is_reference_setting(const char *name) {
    for (size_t i = 0; i < sizeof REFERENCE_SETTINGS / sizeof *REFERENCE_SETTINGS; i++) {
        if (strcmp(name, REFERENCE_SETTINGS[i]) == 0) return true;
    }
    return false;
}

static struct err take_setting(struct build *b, struct source *source, const char *name, const struct value *value) {
    struct str text;
    place(b, value, name);
    if (is_reference_setting(name)) {
        /* An error, not a warning: without the operator's pin the source would trust more than it was told to. */
        struct secret_texts texts;
        struct err result = fetch(b, value->text, b->message, &texts);
        if (err_is(result)) return result.kind == ERR_MEMORY ? result : input_error();
        if (texts.count != 1) {
            writer_put(b->message, STR("this names a list; name one text of it"));
            return input_error();
        }
        text = texts.texts[0];
    } else {
        char *kept;
        TRY(keep(b, value->text, &kept));
        text = str_make(kept, value->text.len);
    }
    return source_set(source, str_from(name), text, b->message) ? err_ok() : input_error();
}

static struct err take_settings(struct build *b, cfg_t *section, struct source *source) {
    for (size_t i = 0; provider_setting_at(i) != NULL; i++) {
        const char *name = provider_setting_at(i);
        const struct value *value = value_of(section, name);
        size_t before = b->message->len;
        if (value == NULL) continue;
        TRY(take_setting(b, source, name, value));
        b->message->len = before; /* the place, which nobody needs now */
    }
    return err_ok();
}

static struct err take_provider(struct build *b, cfg_t *section, const struct value *start, struct source *source) {
    const struct value *value = value_of(section, "provider");
    if (value == NULL) {
        place(b, start, "source");
        writer_put(b->message, STR("this needs provider = one of the names that payhook verify --help lists"));
        return input_error();
    }
    source->row = provider_find(value->text);
    if (source->row != NULL) return err_ok();
    place(b, value, "provider");
    writer_put(b->message, STR("there is no provider "));
    write_unknown(b->message, value->text, provider_name_at);
    return input_error();
}

static struct err take_secrets(struct build *b, cfg_t *section, struct source *source) {
    unsigned count = cfg_size(section, "secrets"), good = 0;
    if (count > SOURCE_SECRETS_MAX) {
        place(b, value_at(section, "secrets", SOURCE_SECRETS_MAX), "secrets");
        writer_format(b->message, "a source has at most %d", SOURCE_SECRETS_MAX);
        return input_error();
    }
    for (unsigned i = 0; i < count; i++) {
        TRY(take_secret(b, source, source->name, value_at(section, "secrets", i), "secrets", &source->secrets,
                        &source->secret_count));
    }
    for (uint32_t i = 0; i < source->secret_count; i++)
        good += source->secrets[i].fault == NULL;
    if (good == 0 && source_needs_secret(source))
        warn(b, source->name, "it has no usable secret; /hooks/%.*s answers 503 until it has one",
             STR_ARG(source->name));
    return err_ok();
}

static struct err take_source(struct build *b, cfg_t *section, struct source *source) {
    const struct value *start = value_of(section, "@");
    struct str title = str_from(cfg_title(section));
    char *name;
    check(start != NULL);
    if (!config_is_source_name(title)) {
        place(b, start, "source");
        writer_put(b->message, STR("a name is a lower-case letter, then at most 62 lower-case letters, digits and '-'; "
                                   "default is the built-in source, set up by iam { … }"));
        return input_error();
    }
    TRY(keep(b, title, &name));
    source->name = str_make(name, title.len);
    TRY(take_provider(b, section, start, source));
    TRY(take_settings(b, section, source));
    size_t before = b->message->len;
    place(b, start, "source");
    if (!source_check(source, b->message)) return input_error();
    b->message->len = before;
    return take_secrets(b, section, source);
}

static struct err take_sources(struct build *b) {
    unsigned count = cfg_size(b->tree, "source");
    check(count <= SOURCES_MAX);
    if (count == 0) return err_ok();
    b->config->sources = calloc(count, sizeof *b->config->sources);
    if (b->config->sources == NULL) return memory_error();
    for (unsigned i = 0; i < count; i++)
        TRY(take_source(b, cfg_getnsec(b->tree, "source", i), &b->config->sources[i]));
    b->config->source_count = count;
    config_sort_sources(b->config);
    return err_ok();
}

static struct err take_all(struct build *b, const struct config_overrides *overrides) {
    struct config *config = b->config;
    const char *environment = getenv("ENVIRONMENT");
    char host[256];
    os_host_name(host, sizeof host);
    if (b->file[0] != '\0') TRY(keep(b, str_from(b->file), &config->file));
    TRY(keep(b, str_from(environment != NULL && environment[0] != '\0' ? environment : "prod"), &config->environment));
    TRY(keep(b, str_from(host), &config->processed_by));
    TRY(take_address(b, "listen", overrides->listen, DEFAULT_LISTEN, &config->listen));
    TRY(take_address(b, "admin", overrides->admin, DEFAULT_ADMIN, &config->admin));
    TRY(take_data(b, overrides->data));
    TRY(take_store(b, overrides->store));
    TRY(take_limits(b));
    TRY(take_tls(b));
    TRY(take_iam(b));
    return take_sources(b);
}

struct err config_parse(struct str text, const char *file, const struct config_overrides *overrides, config_read *read,
                        void *reader, config_warn *warning, void *context, struct writer *message,
                        struct config **ret_config) {
    struct build b = {.file = file != NULL ? file : "",
                      .read = read,
                      .reader = reader,
                      .warn = warning,
                      .context = context,
                      .message = message};
    check(file != NULL || text.len == 0);
    check(read != NULL);
    if (text.len > CONFIG_FILE_SIZE_MAX) {
        writer_format(message, "the configuration is larger than %d bytes", CONFIG_FILE_SIZE_MAX);
        return input_error();
    }
    TRY(tree_parse(text, b.file, message, &b.tree));
    b.config = config_make();
    struct err result = b.config == NULL ? memory_error() : take_all(&b, overrides);
    (void)cfg_free(b.tree); /* fails only on NULL */
    if (err_is(result))
        config_release(b.config);
    else
        *ret_config = b.config;
    return result;
}

static struct err read_secret(void *reader, struct str reference, struct writer *message,
                              struct secret_texts *ret_texts) {
    return secret_reader_read(reader, reference, message, ret_texts);
}

struct err config_load(const struct config_overrides *overrides, config_warn *warning, void *context,
                       struct writer *message, struct config **ret_config) {
    const char *file = overrides->config != NULL ? overrides->config : DEFAULT_FILE;
    struct str text = STR_NONE;
    struct config *config;
    struct err result = os_file_read(file, CONFIG_FILE_SIZE_MAX, &text);
    if (result.kind == ERR_ABSENT && overrides->config == NULL) {
        file = NULL;
    } else if (err_is(result)) {
        writer_escaped(message, str_from(file));
        writer_format(message, ": could not %s", result.where);
        if (result.sys != 0) writer_format(message, ": %s", strerror(result.sys));
        return result;
    }
    struct secret_reader reader = {0};
    result = config_parse(text, file, overrides, read_secret, &reader, warning, context, message, &config);
    secret_reader_done(&reader);
    free((char *)(uintptr_t)text.ptr);
    TRY(result);
    result = keys_load(config->data, message, &config->keys);
    if (err_is(result) && result.kind != ERR_ABSENT) {
        config_release(config);
        return result;
    }
    *ret_config = config;
    return err_ok();
}
