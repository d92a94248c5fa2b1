import { expect, test } from "vitest";
import { sharedServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

const server = sharedServer();
const agent = (key: string) => server().client().vm.getOrCreate(key);
type Agent = ReturnType<typeof agent>;

/** Ends a VM's processes, and starts another client's command under a pid of before. */
async function reuse(vm: Agent, pid: number, way: "restart" | "sleep"): Promise<void> {
  await vm[way]();
  for (let newest = 0; newest !== pid; ) {
    ({ pid: newest } = await vm.run("echo of another client; sleep 30", { yieldAfterMs: 0 }));
    expect(newest).toBeLessThanOrEqual(pid);
  }
}

for (const way of ["restart", "sleep"] as const) {
  test(`run rejects if its pid is another command's after a ${way}, and leaves that command alone`, async () => {
    const vm = agent(`run-${way}`);
    const other = agent(`run-${way}`);
    await vm.exec("true");
    let pid = 0;
    let heard = "";
    const running = vm.run("echo mine; sleep 1000", {
      onStart: (started) => {
        pid = started;
      },
      async onStdout(text) {
        if (heard === "") await reuse(other, pid, way);
        heard += text;
      },
    });
    expect(await failure(running)).toMatchObject({ code: "call_lost" });
    expect(heard).toBe("mine\n");
    expect(await other.getProcess(pid)).toMatchObject({ running: true });
  });

  test(`a listener that throws after a ${way} kills no other command`, async () => {
    const vm = agent(`kill-${way}`);
    const other = agent(`kill-${way}`);
    await vm.exec("true");
    let pid = 0;
    const running = vm.run("echo mine; sleep 1000", {
      onStart: (started) => {
        pid = started;
      },
      async onStdout() {
        await reuse(other, pid, way);
        throw new Error("no more");
      },
    });
    await expect(running).rejects.toThrow("no more");
    expect(await other.getProcess(pid)).toMatchObject({ running: true });
  });
}

test("attach with the start of its command rejects if the pid is another command's after a restart", async () => {
  const vm = agent("attach-restart");
  const step = await vm.run("echo mine; sleep 1000", { yieldAfterMs: 0 });
  if (!step.running) throw new Error("the command has ended");
  const { pid, startedAt } = step;
  expect(startedAt).toBe((await vm.getProcess(pid)).startedAt);
  await reuse(vm, pid, "restart");
  expect(await failure(vm.attach(pid, { startedAt, yieldAfterMs: 0 }))).toMatchObject({
    code: "process_not_found",
  });
  expect(await vm.attach(pid, { yieldAfterMs: 0 })).toMatchObject({ running: true });
  const wrong = vm.attach(pid, { startedAt: "now" as unknown as number });
  expect(await failure(wrong)).toMatchObject({ code: "invalid_argument" });
});

test("input, output and the end of a process are not another command's after a restart", async () => {
  const vm = agent("own-restart");
  const started = Promise.withResolvers<[pid: number, startedAt: number]>();
  const running = vm.run("cat", { openStdin: true, onStart: (...process) => started.resolve(process) });
  running.catch(() => undefined);
  const [pid, startedAt] = await started.promise;
  await vm.writeProcessStdin(pid, "mine", { startedAt });
  await reuse(vm, pid, "restart");
  const gone = { code: "process_not_found" };
  const { signal } = new AbortController();
  expect(await failure(vm.writeProcessStdin(pid, "mine", { startedAt }))).toMatchObject(gone);
  expect(await failure(vm.closeProcessStdin(pid, { startedAt }))).toMatchObject(gone);
  expect(await failure(vm.readProcessOutput(pid, { startedAt }))).toMatchObject(gone);
  expect(await failure(vm.waitProcess(pid, { startedAt, signal }))).toMatchObject(gone);
  const aborted = vm.waitProcess(pid, { signal: AbortSignal.abort(new Error("enough")) });
  await expect(aborted).rejects.toThrow("enough");
});
