/* SPDX-License-Identifier: Apache-2.0 */
/* payhook stack preview and up: the same steps, of which preview takes those that change nothing.
 *
 * The plan comes before the upload: a change set names the zip's place without looking there, so that whoever says no
 * leaves nothing behind, no bucket either. What runs already under our names is taken over in two plans, each shown and
 * asked for: CloudFormation imports things as they are, and the second, an ordinary one, makes them ours. */
#include "app/stack.h"
#include "app/stack_wanted.h"

#include "codec/json.h"
#include "stack/adopt.h"
#include "stack/artifact.h"
#include "stack/secret.h"

#include <stdlib.h>
#include <unistd.h>

enum { LEAVING_LOOKS = 60, IMPORT_TEMPLATE_SIZE = STACK_TEMPLATE_SIZE_MAX };

struct up {
    struct stack_run *run;
    bool preview, allow_replace, import;
    struct stack_description stack; /* as it is before */
    struct wanted wanted;
    struct artifact artifact;
    struct adoption adoption;
    struct plan plan, import_plan;
    bool has_plan, has_import_plan, has_progress;
    enum stack_end end;
    struct stack_description result; /* as it is then, for its outputs */
    int code;                        /* to exit with, where it cannot go on */
};

/* The sentence in message is said, and it does not go on. */
static bool refuse(struct up *up, int code) {
    up->code = stack_complain(up->run, code);
    return false;
}

/* -- Before the plan ------------------------------------------------------------------------------------- */

static bool look(struct up *up) {
    struct stack_run *run = up->run;
    if (deployment_settle(&run->deployment, &up->stack) != STACK_DONE) return refuse(up, EXIT_FAILED);
    return stack_is_ours(run, &up->stack) || refuse(up, EXIT_FAILED);
}

static bool read_wanted(struct up *up) {
    struct stack_run *run = up->run;
    char own_bucket[BUCKET_NAME_MAX * 2], path[PATH_MAX], program[PATH_MAX] = "";
    int code = EXIT_FAILED;
    stack_bucket_name(run, own_bucket, sizeof own_bucket);
    if (!wanted_read(run->options, &up->stack, own_bucket, &run->message, &up->wanted, &code)) return refuse(up, code);
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    program[size > 0 ? size : 0] = '\0';
    if (!wanted_zip(run->options, up->wanted.arch, program, &run->message, path)) return refuse(up, EXIT_FAILED);
    if (err_is(artifact_read(path, &run->names, up->wanted.arch, run->account, aws_region(run->aws), up->wanted.bucket,
                             &run->message, &up->artifact)))
        return refuse(up, EXIT_FAILED);
    wanted_place(&up->wanted, run->names.suffix, up->artifact.bucket, up->artifact.key);
    return true;
}

/* Nothing of the stack is there, so that everything will be created. */
static bool is_fresh(const struct up *up) {
    return !up->stack.exists || str_eq(up->stack.status, STR("REVIEW_IN_PROGRESS")) ||
           str_eq(up->stack.status, STR("ROLLBACK_COMPLETE"));
}

/* A secret that was deleted a moment ago keeps its name for a while, CloudFormation's own deletions too. */
static bool wait_for_secret(struct up *up) {
    struct stack_run *run = up->run;
    const struct deployment *deployment = &run->deployment;
    screen_begin(&run->screen);
    for (int looks = 0; looks < LEAVING_LOOKS; looks++) {
        char phase[STACK_NAME_MAX + 64];
        (void)snprintf(phase, sizeof phase, "waiting until the deleted secret %s is gone", run->names.secret);
        run->watcher.moved(run->watcher.context, NULL, phase);
        run->watcher.pause(run->watcher.context, deployment->poll_ms_max);
        if (screen_stopped()) {
            writer_put(&run->message, STR("stopped: nothing was changed"));
            return refuse(up, EXIT_FAILED);
        }
        if (err_is(adopt_find(run->aws, &run->names, &run->message, &up->adoption))) return refuse(up, EXIT_FAILED);
        if (!up->adoption.secret_leaving) return true;
    }
    writer_format(
        &run->message,
        "the secret %s is still scheduled for deletion, and keeps its name until then: wait longer, keep it "
        "(aws secretsmanager restore-secret --secret-id %s --region %s, then payhook stack up --import), or "
        "end it now (aws secretsmanager delete-secret --force-delete-without-recovery --secret-id %s --region "
        "%s)",
        run->names.secret, run->names.secret, aws_region(run->aws), run->names.secret, aws_region(run->aws));
    return refuse(up, EXIT_FAILED);
}

static bool refuse_names(struct up *up) {
    struct stack_run *run = up->run;
    writer_format(&run->message, "these names are taken in %s, by what does not belong to a stack %s:\n",
                  aws_region(run->aws), run->names.stack);
    for (size_t i = 0; i < up->adoption.count; i++)
        writer_format(&run->message, "  %s %s\n", up->adoption.existing[i].what, up->adoption.existing[i].name);
    if (up->adoption.secret_leaving)
        writer_format(&run->message,
                      "The secret is scheduled for deletion: to keep it, first type\n  aws secretsmanager "
                      "restore-secret --secret-id %s --region %s\n",
                      run->names.secret, aws_region(run->aws));
    writer_put(&run->message, STR("Nothing was changed. payhook stack up --import takes them over with all that they "
                                  "hold; another --suffix makes a stack beside them."));
    return refuse(up, EXIT_FAILED);
}

/* Whether the names of a first deployment are free, or are to be taken over. */
static bool check_names(struct up *up) {
    struct stack_run *run = up->run;
    if (!is_fresh(up)) return true;
    if (err_is(adopt_find(run->aws, &run->names, &run->message, &up->adoption))) return refuse(up, EXIT_FAILED);
    bool only_leaving = up->adoption.secret_leaving && up->adoption.count == 1;
    if (only_leaving && up->preview) {
        stack_remark("The secret %s is being deleted; up waits until it is gone.", run->names.secret);
        up->adoption.count = 0;
        return true;
    }
    if (only_leaving && !wait_for_secret(up)) return false;
    if (up->adoption.count == 0) return true;
    return (up->import && !up->adoption.secret_leaving) || refuse_names(up);
}

/* An open URL without a secret would be open for nothing. False: message says why. */
static bool may_open(struct up *up) {
    struct stack_run *run = up->run;
    struct str now = stack_pair_value(up->stack.parameters, up->stack.parameter_count, STR("UrlAuthType"));
    bool has = false;
    if (!str_eq(up->wanted.auth, STR("NONE")) || (!is_fresh(up) && str_eq(now, STR("NONE")))) return true;
    struct err failure = secret_has_source(run->aws, str_from(run->names.secret), &run->message, &has);
    if (err_is(failure) && failure.kind != ERR_ABSENT) return false;
    run->message.len = 0;
    if (has) return true;
    writer_format(&run->message,
                  "--auth NONE opens the URL to everybody, and no source has a secret yet that would prove a request: "
                  "%sgive one its secret (payhook stack secret set SOURCE --from file:PATH --suffix %s --region %s), "
                  "then open it",
                  is_fresh(up) ? "deploy without --auth NONE first, " : "", run->names.suffix, aws_region(run->aws));
    return false;
}

/* -- The plan -------------------------------------------------------------------------------------------- */

struct shown {
    const struct plan *plan;
    const struct show_access *access;
};
static void show_shown(const void *context, struct show_style style, struct writer *out) {
    const struct shown *shown = context;
    show_plan(shown->plan, style, out);
    if (shown->access == NULL) return;
    writer_char(out, '\n');
    show_access(shown->access, style, out);
}

static struct show_access access_of(const struct up *up) {
    return (struct show_access){.auth = up->wanted.auth, .cors_origins = up->wanted.cors_origins};
}

/* Whoever is asked sees the plan, wherever standard output goes. */
static bool print_plan(struct up *up, const struct plan *plan, bool with_access) {
    struct show_access access = access_of(up);
    const struct shown shown = {plan, with_access ? &access : NULL};
    struct stack_run *run = up->run;
    bool asks = !up->preview && !run->yes && plan->kind != PLAN_NOTHING && screen_can_ask();
    bool good = run->json || stack_print(run, stdout, show_shown, &shown);
    if (good && asks && (run->json || isatty(STDOUT_FILENO) != 1)) good = stack_print(run, stderr, show_shown, &shown);
    return good;
}

/* Takes the plan back, and says why. */
static bool give_up(struct up *up, const struct plan *plan, enum stack_end end) {
    screen_begin(&up->run->screen);
    up->end = screen_stopped() ? STACK_STOPPED : end;
    (void)deployment_discard(&up->run->deployment, plan); /* the sentence says it where that fails */
    return refuse(up, EXIT_FAILED);
}

static bool is_dangerous(struct up *up) {
    struct stack_run *run = up->run;
    const struct change *danger = plan_danger(&up->plan);
    if (danger == NULL || up->allow_replace) return false;
    bool table = str_eq(danger->type, STR("AWS::DynamoDB::Table"));
    writer_format(&run->message,
                  "this would lose the %s with all that it holds, and is not done without --allow-replace (and "
                  "CloudFormation replaces nothing under the name that it has: only under another)",
                  table ? "table" : "secret");
    return true;
}

static const char *question_of(const struct plan *plan, bool import, char *place, size_t size) {
    const char *what = import ? "Take over" : plan->kind == PLAN_CREATE ? "Create" : "Change";
    (void)snprintf(place, size, "%s %s? [y/N] ", what, import ? "what runs already, as it is, into a stack" : "this");
    return place;
}

/* Shown, and agreed to. False: it is gone again. */
static bool agree(struct up *up, const struct plan *plan, bool import) {
    char question[128];
    if (!print_plan(up, plan, !import)) return give_up(up, plan, STACK_FAILED);
    if (!import && is_dangerous(up)) return give_up(up, plan, STACK_REFUSED);
    if (stack_ask(up->run, question_of(plan, import, question, sizeof question), false)) return true;
    return give_up(up, plan, STACK_REFUSED);
}

static void make_plan(struct up *up) {
    const struct change_set_request wanted = {
        .template = template_text(),
        .parameters = up->wanted.parameters,
        .parameter_count = WANTED_PARAMETERS,
        .tags = up->wanted.tags,
        .tag_count = up->wanted.tag_count,
    };
    screen_begin(&up->run->screen);
    up->end = deployment_plan(&up->run->deployment, &wanted, !up->preview, &up->plan);
    up->has_plan = up->end == STACK_DONE || up->end == STACK_NOTHING;
}

static void make_import_plan(struct up *up) {
    struct stack_run *run = up->run;
    struct stack_import imports[ADOPT_MAX];
    struct str ids[ADOPT_MAX];
    const struct stack_pair parameters[] = {
        {STR("EnvironmentSuffix"), str_from(run->names.suffix)},
        {STR("OldPolicy"), str_from(up->adoption.old_policy)},
    };
    char *memory = malloc(IMPORT_TEMPLATE_SIZE);
    check(memory != NULL);
    struct writer template = writer_make(memory, IMPORT_TEMPLATE_SIZE);
    for (size_t i = 0; i < up->adoption.count; i++) {
        const struct existing *one = &up->adoption.existing[i];
        ids[i] = str_from(one->logical_id);
        imports[i] =
            (struct stack_import){str_from(one->type), ids[i], str_from(one->identifier), str_from(one->value)};
    }
    template_import(ids, up->adoption.count, &template);
    check(!template.overflow);
    const struct change_set_request wanted = {
        .imports = imports,
        .import_count = up->adoption.count,
        .template = writer_str(&template),
        .parameters = parameters,
        .parameter_count = sizeof parameters / sizeof parameters[0],
    };
    screen_begin(&run->screen);
    up->end = deployment_plan(&run->deployment, &wanted, !up->preview, &up->import_plan);
    up->has_import_plan = up->end == STACK_DONE;
    if (up->end == STACK_NOTHING) {
        writer_put(&run->message, STR("CloudFormation finds nothing to import"));
        up->end = STACK_FAILED;
    }
    free(memory);
}

/* -- Carrying it out ------------------------------------------------------------------------------------- */

static void show_failure(const void *context, struct show_style style, struct writer *out) {
    show_cause(context, style, out);
}

/* Runs an operation to its end. False: it did not come about, and why is said. */
static bool apply(struct up *up, struct deployment *deployment, const struct plan *plan) {
    struct stack_run *run = up->run;
    screen_begin(&run->screen);
    up->end = deployment_apply(deployment, plan, run->progress);
    up->has_progress = true;
    if (up->end == STACK_DONE) return true;
    if (up->end == STACK_FAILED) (void)stack_print(run, stderr, show_failure, run->progress);
    return false;
}

/* The bucket is made by a stack of its own, which all suffixes of a region share. */
static bool make_bucket(struct up *up) {
    struct stack_run *run = up->run;
    struct deployment deployment = stack_deployment(run, STR(STACK_ARTIFACTS));
    const struct change_set_request wanted = {.template = template_artifacts_text()};
    struct plan plan;
    run->message.len = 0;
    screen_begin(&run->screen);
    enum stack_end end = deployment_plan(&deployment, &wanted, true, &plan);
    if (end == STACK_DONE) return apply(up, &deployment, &plan);
    if (end == STACK_NOTHING)
        writer_format(&run->message,
                      "the bucket %s is gone, though its stack is there: type aws cloudformation delete-stack "
                      "--stack-name " STACK_ARTIFACTS " --region %s, then this again",
                      up->artifact.bucket, aws_region(run->aws));
    return false;
}

static bool upload(struct up *up) {
    struct stack_run *run = up->run;
    bool is_new;
    screen_begin(&run->screen);
    screen_show(&run->screen, NULL, "looking whether the function's zip is in its bucket", run->watcher.now_us(NULL));
    struct err failure = artifact_upload(run->aws, &up->artifact, run->account, &run->message, &is_new);
    if (failure.kind == ERR_ABSENT && up->artifact.is_ours) {
        if (!make_bucket(up)) return give_up(up, &up->plan, STACK_FAILED);
        screen_begin(&run->screen);
        screen_show(&run->screen, NULL, "uploading the function's zip", run->watcher.now_us(NULL));
        failure = artifact_upload(run->aws, &up->artifact, run->account, &run->message, &is_new);
    }
    if (!err_is(failure) && screen_stopped()) {
        writer_put(&run->message, STR("stopped: the zip is uploaded, and the stack was not changed"));
        return give_up(up, &up->plan, STACK_FAILED);
    }
    return !err_is(failure) || give_up(up, &up->plan, STACK_FAILED);
}

/* Zips that no deployment uses any longer, nor a rollback of this one. */
static void prune(struct up *up) {
    struct stack_run *run = up->run;
    struct str before = stack_pair_value(up->stack.parameters, up->stack.parameter_count, STR("ArtifactKey"));
    struct err failure = artifact_prune(run->aws, up->artifact.bucket, run->account, &run->names,
                                        str_from(up->artifact.key), before, &run->message);
    if (err_is(failure))
        stack_remark("payhook: the stack is deployed, but old zips in %s could not be deleted: %s", up->artifact.bucket,
                     writer_cstr(&run->message));
    run->message.len = 0;
}

static bool import(struct up *up) {
    make_import_plan(up);
    if (up->end != STACK_DONE) return refuse(up, EXIT_FAILED);
    if (!agree(up, &up->import_plan, true)) return false;
    if (!apply(up, &up->run->deployment, &up->import_plan)) return refuse(up, EXIT_FAILED);
    artifact_done(&up->artifact);
    return look(up) && read_wanted(up);
}

/* -- The commands ---------------------------------------------------------------------------------------- */

static void show_result_outputs(const void *context, struct show_style style, struct writer *out) {
    (void)style; /* values are to be copied, and never cut */
    show_outputs(context, false, out);
}

/* What --json prints in the end. */
static void show_report(const void *context, struct show_style style, struct writer *out) {
    const struct up *up = context;
    struct show_access access = access_of(up);
    (void)style;
    writer_format(out, "{\"result\": \"%s\", ", stack_end_word(up->end));
    if (up->has_import_plan) {
        writer_put(out, STR("\"import\": "));
        show_plan_json(&up->import_plan, NULL, out);
        writer_put(out, STR(", "));
    }
    writer_put(out, STR("\"plan\": "));
    if (up->has_plan)
        show_plan_json(&up->plan, &access, out);
    else
        writer_put(out, STR("null"));
    writer_put(out, STR(", \"outputs\": "));
    show_outputs(&up->result, true, out);
    writer_put(out, STR(", \"failure\": "));
    if (up->has_progress)
        show_cause_json(up->run->progress, out);
    else
        writer_put(out, STR("null"));
    writer_put(out, STR("}\n"));
}

static void show_plan_object(const void *context, struct show_style style, struct writer *out) {
    const struct shown *shown = context;
    (void)style;
    show_plan_json(shown->plan, shown->access, out);
    writer_char(out, '\n');
}

static struct up *make_up(struct stack_run *run, bool preview) {
    struct up *up = malloc(sizeof *up);
    check(up != NULL);
    *up = (struct up){
        .run = run,
        .preview = preview,
        .allow_replace = option_set(run->options, OPTION_ALLOW_REPLACE),
        .import = option_set(run->options, OPTION_IMPORT),
        .end = STACK_FAILED,
    };
    return up;
}

static void free_up(struct up *up) {
    artifact_done(&up->artifact);
    free(up);
}

/* What is wrong whatever is deployed is said before anything is asked. */
static bool prepare(struct up *up) {
    struct stack_run *run = up->run;
    int code;
    if (!wanted_read(run->options, &up->stack, "", &run->message, &up->wanted, &code)) return refuse(up, code);
    if (!stack_connect(run)) return refuse(up, EXIT_FAILED);
    return look(up) && read_wanted(up) && check_names(up);
}

static bool print_preview(struct up *up, const struct plan *plan, bool with_access) {
    struct show_access access = access_of(up);
    const struct shown shown = {plan, with_access ? &access : NULL};
    return up->run->json ? stack_print(up->run, stdout, show_plan_object, &shown) : print_plan(up, plan, with_access);
}

/* What up would say to this. */
static void remark_refusals(struct up *up) {
    struct stack_run *run = up->run;
    if (is_dangerous(up)) stack_remark("\nup would refuse this: %s.", writer_cstr(&run->message));
    run->message.len = 0;
    if (!may_open(up) && run->message.len > 0) stack_remark("\nup would refuse this: %s.", writer_cstr(&run->message));
    run->message.len = 0;
}

static bool preview(struct up *up) {
    if (!prepare(up)) return false;
    bool importing = up->adoption.count > 0;
    if (importing)
        make_import_plan(up);
    else
        make_plan(up);
    if (up->end != STACK_DONE && up->end != STACK_NOTHING) return refuse(up, EXIT_FAILED);
    const struct plan *plan = importing ? &up->import_plan : &up->plan;
    bool good = print_preview(up, plan, !importing);
    if (up->end == STACK_DONE && deployment_discard(&up->run->deployment, plan) != STACK_DONE) good = false;
    if (!good) return refuse(up, EXIT_FAILED);
    if (importing)
        stack_remark("\nThis is the first of two steps: up --import then shows what it changes to make them this "
                     "program's stack, and asks again.");
    else
        remark_refusals(up);
    return true;
}

int stack_preview(struct stack_run *run) {
    struct up *up = make_up(run, true);
    int code = preview(up) ? EXIT_DONE : up->code;
    free_up(up);
    return code;
}

/* Everything up to the end of the operation. */
static bool deploy(struct up *up) {
    if (!prepare(up)) return false;
    if (up->adoption.count > 0 && !import(up)) return false;
    if (!may_open(up)) return refuse(up, EXIT_FAILED);
    make_plan(up);
    if (up->end == STACK_NOTHING) return print_plan(up, &up->plan, true) || refuse(up, EXIT_FAILED);
    if (up->end != STACK_DONE) return refuse(up, EXIT_FAILED);
    if (!agree(up, &up->plan, false) || !upload(up)) return false;
    if (!apply(up, &up->run->deployment, &up->plan)) return refuse(up, EXIT_FAILED);
    prune(up);
    return true;
}

int stack_up(struct stack_run *run) {
    struct up *up = make_up(run, false);
    bool good = deploy(up);
    if (good && deployment_look(&run->deployment, &up->result) != STACK_DONE) good = refuse(up, EXIT_FAILED);
    if (run->json && up->has_plan && !stack_print(run, stdout, show_report, up)) good = refuse(up, EXIT_FAILED);
    if (!run->json && good) {
        (void)fputc('\n', stdout);
        if (!stack_print(run, stdout, show_result_outputs, &up->result)) good = refuse(up, EXIT_FAILED);
    }
    int code = good ? EXIT_DONE : up->code;
    free_up(up);
    return code;
}
