import { expect, test } from "vitest";
import { cronKey } from "../../../src/runtime/store/keys.ts";
import { encodeJson } from "../../../src/runtime/store/store.ts";
import { startCron } from "../../support/cron.ts";

const NOON = "2030-01-01T12:00:00Z";

test.each([
  ["no JSON", Buffer.from("{")],
  ["no object", encodeJson(null)],
  ["another object", encodeJson({ id: "a", schedule: "never" })],
])("stored jobs and runs that are %s are left out and reported, and the others work", async (_, damaged) => {
  const machine = startCron(NOON);
  for (const id of ["a", "b", "c"]) await machine.schedule({ id, schedule: "0 * * * *" });
  await machine.advanceTo("2030-01-01T13:30:00Z");
  machine.cron.stop();
  await machine.store.put([
    [cronKey("job", 1), damaged],
    [cronKey("state", 2), damaged],
    [cronKey("run", 3), damaged],
  ]);
  const next = await machine.restart();
  expect((await next.cron.listCronJobs()).map(({ id }) => id)).toEqual(["c"]);
  expect(next.failures).toHaveLength(3);
  expect(await next.cron.runCronJob("c")).toEqual({ runId: "run-4" });
  expect(await next.history()).toHaveLength(3);
  await next.schedule({ id: "d", schedule: "0 * * * *" });
  await next.advanceTo("2030-01-01T14:30:00Z");
  expect(next.ran).toHaveLength(3);
});
