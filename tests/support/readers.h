// The applications' readers of documents, for tests that read documents without a loader.
#pragma once
#include "apps/s6a/subscription.h"
#include "loader/document/record.h"

static const struct doc_reader *const test_readers[] = {&s6a_reader, NULL};

// What it read into a subscription.
static inline const struct s6a_subscription *s6a_part(const struct subscription *s)
{
	return (const struct s6a_subscription *)(const void *)s->of_apps;
}
