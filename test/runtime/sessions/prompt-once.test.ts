import { expect, test, vi } from "vitest";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { rawAgent } from "../../support/raw-agent.ts";
import { startVm } from "../../support/vm.ts";

test("a run of a cron job ends by its timeout, also if it passes while the stored sessions are read", async () => {
  const store = new MemoryStore();
  const list = store.list.bind(store);
  store.list = async (prefix, options) => {
    if (prefix.startsWith("session/")) await new Promise((wake) => setTimeout(wake, 200));
    return await list(prefix, options);
  };
  const { vm } = startVm(rawAgent(), undefined, { store });
  await vm.exec("true");
  await vm.scheduleCron({
    id: "job",
    schedule: "0 0 1 1 *",
    timeoutMs: 20,
    action: { type: "session", agentType: "raw", prompt: "await new Promise(() => {})" },
  });
  await vm.runCronJob("job");
  await vi.waitUntil(async () => (await vm.listCronRuns("job"))[0]?.status === "timeout", {
    timeout: 10_000,
  });
  expect(await vm.listSessions()).toEqual([]);
});
