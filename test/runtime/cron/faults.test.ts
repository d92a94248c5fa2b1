import { expect, test } from "vitest";
import { codedStore } from "../../../src/runtime/store/coded-store.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { startCron, type TestCron } from "../../support/cron.ts";
import { type Fault, faultyStore } from "../../support/faulty-store.ts";

const NOON = "2030-01-01T12:00:00Z";

/** Jobs by id, and whether they are paused. */
type State = Record<string, boolean>;

const steps: [name: string, run: (test: TestCron) => Promise<unknown>, makes: (state: State) => State][] = [
  ["schedule", (t) => t.schedule({ id: "a", schedule: "0 * * * *" }), (state) => ({ ...state, a: false })],
  [
    "schedule another",
    (t) => t.schedule({ id: "b", schedule: "5 * * * *" }),
    (state) => ({ ...state, b: false }),
  ],
  ["change", (t) => t.schedule({ id: "a", schedule: "1 * * * *" }), (state) => ({ ...state, a: false })],
  ["pause", (t) => t.cron.pauseCronJob("b"), (state) => ({ ...state, b: true })],
  ["run", (t) => t.cron.runCronJob("a"), (state) => state],
  ["resume", (t) => t.cron.resumeCronJob("b"), (state) => ({ ...state, b: false })],
  ["cancel", (t) => t.cron.cancelCronJob("a"), ({ a: _, ...state }) => state],
  [
    "schedule a third",
    (t) => t.schedule({ id: "c", schedule: "9 * * * *" }),
    (state) => ({ ...state, c: false }),
  ],
];

const stateOf = async ({ cron }: TestCron): Promise<State> =>
  Object.fromEntries((await cron.listCronJobs()).map(({ id, paused }) => [id, paused]));

/** Each failure is reported, a retry works, and a restart has all acknowledged jobs. */
async function travel(fault: (call: number) => Fault): Promise<number> {
  const store = new MemoryStore();
  const faulty = faultyStore(store, fault);
  const machine = startCron(NOON, { store: codedStore(faulty) });
  let state: State = {};
  for (const [name, run, makes] of steps) {
    const outcome = await run(machine).catch((error: { code?: string }) => error.code);
    if (outcome === "storage_failed") await run(machine);
    state = makes(state);
    expect(await stateOf(machine), name).toEqual(state);
    // The server dies now, as after kill -9.
    const next = startCron(NOON, { store });
    expect(await stateOf(next), `${name}, after a restart`).toEqual(state);
    next.cron.stop();
  }
  machine.cron.stop();
  return faulty.calls;
}

test("a fault of storage at any call is reported, and no acknowledged change of a job is lost", async () => {
  const calls = await travel(() => "none");
  for (let at = 0; at < calls; at++) {
    for (const kind of ["error", "lost", "part", "slow"] as const) {
      await travel((call) => (call === at ? kind : "none")).catch((error: unknown) => {
        throw new Error(`${kind} at call ${at} of ${calls}: ${error instanceof Error ? error.stack : error}`);
      });
    }
  }
});
