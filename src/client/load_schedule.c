#include "load_schedule.h"

#include "util.h"

#define NS_PER_S 1e9

uint64_t load_schedule_due_ns(const struct load_schedule *schedule, uint64_t connection, uint64_t n)
{
        double turn = (double)(n * schedule->n_connections + connection);

        return schedule->start_ns + (uint64_t)(turn / schedule->rate * NS_PER_S);
}

uint64_t load_schedule_count(const struct load_schedule *schedule, uint64_t connection,
                             uint64_t now_ns)
{
        double turn;
        uint64_t n = 0;

        if (schedule->end_ns <= schedule->start_ns || now_ns < schedule->start_ns)
                return 0;
        now_ns = MIN(now_ns, schedule->end_ns - 1);
        turn = (double)(now_ns - schedule->start_ns) / NS_PER_S * schedule->rate;
        if (turn >= (double)connection)
                n = (uint64_t)((turn - (double)connection) / (double)schedule->n_connections) + 1;
        /* Both ways are rounded: what counts is when a message is due. */
        while (n > 0 && load_schedule_due_ns(schedule, connection, n - 1) > now_ns)
                n--;
        while (load_schedule_due_ns(schedule, connection, n) <= now_ns)
                n++;
        return n;
}

void load_schedule_add_waits(const struct load_schedule *schedule, uint64_t connection,
                             uint64_t from, uint64_t to, uint64_t now_ns, uint64_t n_values,
                             struct histogram *waits)
{
        while (from < to) {
                uint64_t n = (to - from + n_values - 1) / n_values;
                uint64_t middle_ns = load_schedule_due_ns(schedule, connection, from + n / 2);

                histogram_add_many(waits, now_ns - middle_ns, n);
                from += n;
                n_values--;
        }
}
