import type { CronEvent } from "../../src/api/events.ts";
import type { CronRun, SerializableCronJobOptions } from "../../src/api/types.ts";
import { Cron } from "../../src/runtime/cron/cron.ts";
import { MemoryStore, type Store } from "../../src/runtime/store.ts";
import { EXEC_RESULT } from "./fake-vm.ts";

export interface TestCron {
  cron: Cron;
  store: Store;
  events: CronEvent[];
  /** The alarm that was asked for last. */
  alarm: number | null;
  /** Command lines in the order of their start. */
  ran: string[];
  /** Sets the clock, without anybody noticing. */
  setClock(time: string | number): void;
  now(): number;
  /** Lets the alarms up to a time ring, each at its time. */
  advanceTo(time: string | number): Promise<void>;
  /** A job that runs `echo`, unless it says otherwise. */
  schedule(options: Omit<SerializableCronJobOptions, "action"> & { command?: string }): Promise<string>;
  /** Ends the oldest run of a `hold` command. */
  release(): void;
  /** Statuses and ticks, oldest first. */
  history(jobId?: string): Promise<string[]>;
  /** The same jobs in a new process, at the same time of the clock. */
  restart(time?: string | number): Promise<TestCron>;
}

/** A fake machine under a real cron room: commands end at once, except `hold`, and the clock is the test's. */
export function startCron(
  start: string | number,
  { store = new MemoryStore(), timezone = "UTC" }: { store?: Store; timezone?: string } = {},
): TestCron {
  let clock = toMs(start);
  const held: (() => void)[] = [];
  const test: TestCron = {
    store,
    events: [],
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
        timezone,
        hasProcesses: true,
        now: () => clock,
        aliveSince: clock,
        prompt: () => Promise.reject(new Error("no agents here")),
        run: async (command) => {
          test.ran.push(command);
          if (command === "hold") await new Promise<void>((resolve) => held.push(resolve));
          return EXEC_RESULT;
        },
      },
      {
        emit: (_name, { event }) => void test.events.push(event),
        keepAwake: () => undefined,
        wakeAt(at) {
          test.alarm = at;
        },
      },
    ),
  };
  return test;
}

/** Lets everything that needs no clock come to its end. */
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
