import type { CronEvent } from "../../src/api/events.ts";
import type { CronRun, SerializableCronJobOptions } from "../../src/api/methods/cron-types.ts";
import { Cron } from "../../src/runtime/cron/cron.ts";
import { MemoryStore, type Store } from "../../src/runtime/store/store.ts";
import { EXEC_RESULT } from "./fake-vm.ts";

export interface TestCron {
  cron: Cron;
  store: Store;
  events: CronEvent[];
  /** Time of the last requested alarm; `null` if there is none. */
  alarm: number | null;
  /** Failures that no caller waits for. */
  failures: unknown[];
  /** Command lines in the order of their start. */
  ran: string[];
  /** Sets the clock and rings no alarm. */
  setClock(time: string | number): void;
  now(): number;
  /** Advances the clock and rings each alarm on the way at its time. */
  advanceTo(time: string | number): Promise<void>;
  /** Schedules a job, by default of the command `echo`. Resolves with its id. */
  schedule(options: Omit<SerializableCronJobOptions, "action"> & { command?: string }): Promise<string>;
  /** Ends the oldest run of a `hold` command. */
  release(): void;
  /** Returns tick and status of each run, oldest first. */
  history(jobId?: string): Promise<string[]>;
  /** Starts another cron room over the same store, as after a restart. @default time of this clock */
  restart(time?: string | number): Promise<TestCron>;
}

interface TestCronOptions {
  store?: Store;
  timezone?: string;
  /** Is called before each alarm is set, and may fail or take its time. */
  beforeAlarm?: () => Promise<void>;
}

/** Starts a real cron room over a fake machine. Commands end at once, except `hold`, and the test sets the clock. */
export function startCron(
  start: string | number,
  { store = new MemoryStore(), timezone = "UTC", beforeAlarm }: TestCronOptions = {},
): TestCron {
  let clock = toMs(start);
  const held: (() => void)[] = [];
  const test: TestCron = {
    store,
    events: [],
    failures: [],
    alarm: null,
    ran: [],
    now: () => clock,
    setClock(time) {
      clock = toMs(time);
    },
    async advanceTo(time) {
      const end = toMs(time);
      while (test.alarm !== null && test.alarm <= end) {
        clock = Math.max(clock, test.alarm);
        test.alarm = null;
        await test.cron.ring();
        await idle();
      }
      clock = end;
    },
    async schedule({ command = "echo", ...options }) {
      return (await test.cron.scheduleCron({ ...options, action: { type: "exec", command } })).id;
    },
    release: () => held.shift()?.(),
    history: async (jobId) => (await test.cron.listCronRuns(jobId, { limit: 1000 })).reverse().map(summary),
    async restart(time = clock) {
      const next = startCron(time, { store, timezone });
      await next.cron.ring();
      await idle();
      return next;
    },
    cron: new Cron(
      {
        store,
        runtime: {
          runtime: "test",
          capabilities: new Set(["processes"]),
          enforced: () => Promise.reject(new Error("no limits here")),
        },
        prompt: () => Promise.reject(new Error("no agents here")),
        checkAgent: () => undefined,
        run: async (command) => {
          test.ran.push(command);
          if (command === "hold") await new Promise<void>((resolve) => held.push(resolve));
          return EXEC_RESULT;
        },
        emit: (_name, { event }) => void test.events.push(event),
        keepAwake: () => undefined,
        onFailure: (error) => void test.failures.push(error),
        async wakeAt(at) {
          await beforeAlarm?.();
          test.alarm = at;
        },
      },
      { timezone, now: () => clock, aliveSince: clock },
    ),
  };
  return test;
}

/** Waits until all work that needs no timer is done. */
export async function idle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function toMs(time: string | number): number {
  return typeof time === "number" ? time : Date.parse(time);
}

function summary({ status, scheduledAt, reason, ticks }: CronRun): string {
  const why = [reason, ticks].filter((part) => part !== undefined).join(" ");
  return `${new Date(scheduledAt).toISOString().replace(".000Z", "Z")} ${status}${why && ` (${why})`}`;
}
