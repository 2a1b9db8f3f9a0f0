/* analyzer.h - what clang-tidy is told beside the sources: a function that reports an error never
 * returns OK. It sees only one file at a time and would follow paths on which it does. */
#ifndef STAGE4_TESTS_LINT_ANALYZER_H
#define STAGE4_TESTS_LINT_ANALYZER_H

#include "common/error.h"
#include "coordinator/store/durable.h"

static inline int analyzer_failed(int code)
{
    if (code == OK)
        __builtin_unreachable();
    return code;
}

#define error_set(...) analyzer_failed(error_set(__VA_ARGS__))
#define error_field(...) analyzer_failed(error_field(__VA_ARGS__))
#define durable_error(...) analyzer_failed(durable_error(__VA_ARGS__))
#define error_wrap(...) analyzer_failed(error_wrap(__VA_ARGS__))

#endif
