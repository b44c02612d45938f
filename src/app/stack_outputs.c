/* SPDX-License-Identifier: Apache-2.0 */
/* payhook stack outputs and template: what is there to read. A value alone goes bare to standard output, so that a
 * shell can take it. */
#include "app/print.h"
#include "app/stack.h"

static void show_all(const void *context, struct show_style style, struct writer *out) {
    (void)style; /* values are to be copied, and never cut */
    show_outputs(context, false, out);
}

static void show_json(const void *context, struct show_style style, struct writer *out) {
    (void)style;
    show_outputs(context, true, out);
    writer_char(out, '\n');
}

/* One output as if there were no other. */
static int print_one(struct stack_run *run, const struct stack_description *stack) {
    struct stack_description one = {.output_count = 1};
    struct str name = str_from(run->word);
    for (size_t i = 0; i < stack->output_count; i++) {
        if (!str_eq(stack->outputs[i].key, name)) continue;
        if (!run->json) {
            print_safe(stdout, stack->outputs[i].value);
            (void)fputc('\n', stdout);
            return EXIT_DONE;
        }
        one.outputs[0] = stack->outputs[i];
        return stack_print(run, stdout, show_json, &one) ? EXIT_DONE : stack_complain(run, EXIT_FAILED);
    }
    writer_format(&run->message, "%s has no output \"", run->names.stack);
    writer_escaped(&run->message, name);
    writer_put(&run->message, STR("\", only "));
    for (size_t i = 0; i < stack->output_count; i++) {
        if (i > 0) writer_put(&run->message, STR(", "));
        writer_escaped(&run->message, stack->outputs[i].key);
    }
    return stack_complain(run, EXIT_FAILED);
}

int stack_outputs(struct stack_run *run) {
    struct stack_description stack;
    if (!stack_connect(run) || deployment_look(&run->deployment, &stack) != STACK_DONE)
        return stack_complain(run, EXIT_FAILED);
    if (!stack.exists) {
        writer_format(&run->message,
                      "there is no stack %s in %s of account %s: payhook stack up --suffix %s --region %s "
                      "makes it",
                      run->names.stack, aws_region(run->aws), run->account, run->names.suffix, aws_region(run->aws));
        return stack_complain(run, EXIT_FAILED);
    }
    if (stack.output_count == 0) {
        writer_format(&run->message, "%s is in ", run->names.stack);
        writer_escaped(&run->message, stack.status);
        writer_format(&run->message,
                      ", and has no outputs: payhook stack up --suffix %s --region %s goes on from there",
                      run->names.suffix, aws_region(run->aws));
        return stack_complain(run, EXIT_FAILED);
    }
    if (run->word != NULL) return print_one(run, &stack);
    return stack_print(run, stdout, run->json ? show_json : show_all, &stack) ? EXIT_DONE
                                                                              : stack_complain(run, EXIT_FAILED);
}

int stack_template(struct stack_run *run) {
    struct str text = template_text();
    (void)run; /* the same for every stack */
    (void)fwrite(text.ptr, 1, text.len, stdout);
    return EXIT_DONE;
}
