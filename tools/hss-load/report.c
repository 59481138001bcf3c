// The result of a run, as text and as one JSON object.
#include "tools/hss-load/run.h"

static double seconds_of(const struct hl_run *r)
{
	return r->last_answer_ns > r->start_ns ? (double)(r->last_answer_ns - r->start_ns) / 1e9 : 0;
}

static double rate_of(const struct hl_run *r)
{
	double seconds = seconds_of(r);
	return seconds > 0 ? (double)r->stats.answers / seconds : 0;
}

static double percentile_us(const struct hl_run *r, double fraction)
{
	return (double)latency_percentile(&r->stats.latency, fraction) / 1e3;
}

static void print_json(const struct hl_run *r, FILE *out)
{
	const struct hl_stats *s = &r->stats;

	fprintf(out, "{\"case\":\"%s\",\"requests\":%llu,\"answers\":%llu,\"seconds\":%.6f,\"rate\":%.1f,",
		r->o->case_name, (unsigned long long)s->requests, (unsigned long long)s->answers,
		seconds_of(r), rate_of(r));
	fprintf(out, "\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,\"results\":{",
		percentile_us(r, 0.5), percentile_us(r, 0.99), percentile_us(r, 0.999),
		(double)s->latency.max / 1e3);
	for (unsigned i = 0; i < s->result_count; i++)
		fprintf(out, "%s\"%u\":%llu", i ? "," : "", s->results[i].code,
			(unsigned long long)s->results[i].count);
	fprintf(out, "},\"timeouts\":%llu,\"lost\":%llu,\"unmatched\":%llu,\"malformed\":%llu,",
		(unsigned long long)s->timeouts, (unsigned long long)s->lost,
		(unsigned long long)s->unmatched, (unsigned long long)s->malformed);
	fprintf(out, "\"vectors_verified\":%llu,\"bad_vectors\":%llu,", (unsigned long long)s->vectors,
		(unsigned long long)s->bad_vectors);
	if (r->first_bad)
		fprintf(out, "\"first_bad\":\"%s\",", r->first_bad);
	if (r->o->verify == HL_VERIFY_ALL)
		fprintf(out, "\"duplicate_sqn\":%llu,\"sqn_tracked\":%llu,",
			(unsigned long long)s->duplicate_sqn, (unsigned long long)r->seen_count);
	fprintf(out, "\"reconnects\":%llu,\"clr_received\":%llu,\"requests_received\":%llu}\n",
		(unsigned long long)s->reconnects, (unsigned long long)s->clr_received,
		(unsigned long long)s->requests_received);
}

static void print_count(FILE *out, const char *name, uint64_t count)
{
	if (count)
		fprintf(out, "  %-12s %llu\n", name, (unsigned long long)count);
}

static void print_text(const struct hl_run *r, FILE *out)
{
	const struct hl_stats *s = &r->stats;

	fprintf(out, "%s: %llu requests, %llu answers in %.3f s: %.0f/s\n", r->o->case_name,
		(unsigned long long)s->requests, (unsigned long long)s->answers, seconds_of(r), rate_of(r));
	fprintf(out, "  latency      p50 %.0f us, p99 %.0f us, p99.9 %.0f us, max %.0f us\n",
		percentile_us(r, 0.5), percentile_us(r, 0.99), percentile_us(r, 0.999),
		(double)s->latency.max / 1e3);
	fputs("  results     ", out);
	for (unsigned i = 0; i < s->result_count; i++)
		fprintf(out, " %u: %llu", s->results[i].code, (unsigned long long)s->results[i].count);
	fputc('\n', out);
	if (r->o->verify != HL_VERIFY_NONE || s->vectors)
		fprintf(out, "  vectors      %llu verified, %llu bad%s%s\n", (unsigned long long)s->vectors,
			(unsigned long long)s->bad_vectors, r->first_bad ? ", first: " : "",
			r->first_bad ? r->first_bad : "");
	print_count(out, "same SQN", s->duplicate_sqn);
	print_count(out, "timeouts", s->timeouts);
	print_count(out, "lost", s->lost);
	print_count(out, "unmatched", s->unmatched);
	print_count(out, "malformed", s->malformed);
	print_count(out, "reconnects", s->reconnects);
	print_count(out, "CLR", s->clr_received);
}

void hl_report_print(const struct hl_run *r, FILE *out)
{
	if (r->o->json)
		print_json(r, out);
	else
		print_text(r, out);
}

int hl_report_status(const struct hl_run *r)
{
	const struct hl_stats *s = &r->stats;
	bool good = !r->failed && s->answers > 0 && !s->unexpected && !s->timeouts && !s->malformed &&
		    !s->bad_vectors && !s->duplicate_sqn && (r->o->reconnect || !s->lost);
	return good ? 0 : 1;
}
