import type { CronEvent } from "../../api/events.ts";
import { type RunRecord, runId } from "./history.ts";
import type { JobDefinition } from "./job.ts";

/** What a run's record says, as an event. */
export function eventOf(
  { schedule }: JobDefinition,
  record: RunRecord,
  time: number,
  error = "It failed",
): CronEvent {
  const { jobId, seq, durationMs, exitCode, reason = "", ticks = 1 } = record;
  const base = { id: jobId, jobId, schedule, runId: runId(seq), firedAt: record.scheduledAt, time };
  switch (record.status) {
    case "running":
      return { ...base, type: "cron:fire" };
    case "completed":
      return { ...base, type: "cron:complete", durationMs: durationMs ?? 0, exitCode: exitCode ?? 0 };
    case "skipped":
      return { ...base, type: "cron:skip", reason };
    case "missed":
      return { ...base, type: "cron:missed", ticks, reason };
    default:
      return {
        ...base,
        type: "cron:error",
        error,
        reason,
        ...(durationMs !== null && { durationMs }),
        ...(exitCode !== undefined && { exitCode }),
      };
  }
}
