import { expect } from "vitest";
import type { Vm } from "../../../src/runtime/vm.ts";
import { durableVm } from "../../support/durable-vm.ts";
import { testRows } from "../../support/rows.ts";
import { open, withScripted } from "../../support/scripted.ts";
import { until } from "../../support/until.ts";

const FILE = "/workspace/made";

/** Takes no checkpoint by the clock. */
const QUIET = { checkpoint: { intervalMs: 2_000_000_000 }, ...withScripted };

/** Prepares a change of a file inside the VM. Returns the step that makes the change. */
const SOURCES: Record<string, (vm: Vm) => Promise<() => unknown>> = {
  "a command": async (vm) => () => vm.exec(`echo > ${FILE}`),
  "a command of cron": async (vm) => {
    const action = { type: "exec", command: `echo > ${FILE}` } as const;
    const { id } = await vm.scheduleCron({ schedule: "0 0 1 1 *", action });
    return () => vm.runCronJob(id);
  },
  "a process that goes on, by its output": async (vm) => {
    const { pid } = await vm.spawn("bash", ["-c", `read; echo > ${FILE}; echo out; sleep 1000`]);
    return () => vm.writeProcessStdin(pid, "\n");
  },
  "a silent process, by its exit": async (vm) => {
    const { pid } = await vm.spawn("bash", ["-c", `read; echo > ${FILE}`]);
    return () => vm.writeProcessStdin(pid, "\n");
  },
  "a shell": async (vm) => {
    const { shellId } = await vm.openShell();
    await until(async () => (await vm.readShell(shellId)).chunks.length > 0);
    return () => vm.writeShell(shellId, `echo > ${FILE}; echo done\n`);
  },
  "an agent, in the middle of a turn": async (vm) => {
    const session = await open(vm);
    const prompt = vm.sendPrompt(session, `await /tmp/go; touch ${FILE}; say made; until-cancel`);
    prompt.catch(() => undefined);
    await until(async () => (await vm.getSequencedEvents(session)).length > 0);
    return () => vm.writeFile("/tmp/go", "");
  },
};

testRows(Object.entries(SOURCES), 3)(
  "%s: its files are durable without a checkpoint by hand",
  async (_, source) => {
    const machine = durableVm(QUIET);
    const vm = machine.vm();
    const change = await source(vm);
    await vm.checkpoint();
    const generation = async () => {
      const [head] = await machine.store.get(["fs/head"]);
      return JSON.parse(Buffer.from(head!).toString()).generation as number;
    };
    const before = await generation();
    await change();
    await until(() => vm.exists(FILE));
    await until(async () => (await generation()) > before);
    await machine.crash();
    expect(await machine.vm().exists(FILE)).toBe(true);
  },
);
