#include "common/input/domains.h"

#include <string.h>

typedef struct {
    const char *name;
    const char *long_form;
} domain_row_t;

/* Long names of the Stage 3 contract first, then the short forms seen in its samples. */
static const domain_row_t DOMAINS[] = {
    {"diplomatic_relations", "diplomatic_relations"},
    {"military_operations", "military_operations"},
    {"economic_activity", "economic_activity"},
    {"political_events", "political_events"},
    {"legal_judicial", "legal_judicial"},
    {"health_medical", "health_medical"},
    {"environmental", "environmental"},
    {"technology_science", "technology_science"},
    {"cultural_social", "cultural_social"},
    {"sports_entertainment", "sports_entertainment"},
    {"infrastructure_development", "infrastructure_development"},
    {"general_news", "general_news"},
    {"diplomatic", "diplomatic_relations"},
    {"military", "military_operations"},
    {"economic", "economic_activity"},
    {"political", "political_events"},
    {"legal", "legal_judicial"},
    {"judicial", "legal_judicial"},
    {"health", "health_medical"},
    {"medical", "health_medical"},
    {"environment", "environmental"},
    {"technology", "technology_science"},
    {"science", "technology_science"},
    {"cultural", "cultural_social"},
    {"social", "cultural_social"},
    {"sports", "sports_entertainment"},
    {"entertainment", "sports_entertainment"},
    {"infrastructure", "infrastructure_development"},
    {"general", "general_news"},
};

const char *domain_long_form(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof DOMAINS / sizeof *DOMAINS; i++) {
        if (strlen(DOMAINS[i].name) == length && memcmp(DOMAINS[i].name, name, length) == 0)
            return DOMAINS[i].long_form;
    }
    return NULL;
}
